//! Budgets of the calendar: a spent one refuses until its window ends in the zone it names, and says when.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, advance};

use crate::provider::Script;
use crate::settings::Settings;
use crate::world::{Ask, Heard, World};

/// When every world begins.
const BEGINNING: &str = "2027-01-15T08:00:00Z";

/// A budget's zone and unit, when its one request is made, and when the next one may be.
type Play = (&'static str, &'static str, &'static str, &'static str);

fn seconds(from: &str, to: &str) -> u64 {
    let [from, to] = [from, to].map(|moment| moment.parse::<Timestamp>().unwrap().as_second());
    u64::try_from(to - from).unwrap()
}

/// Asks at this moment what nobody has asked before.
async fn at(world: &World, begun: Instant, number: u32, moment: Duration) -> Heard {
    advance((begun + moment).saturating_duration_since(Instant::now())).await;
    world.ask(Ask::chat(number)).await
}

#[tokio::test(start_paused = true)]
async fn a_window_ends_when_the_calendar_of_its_zone_says() {
    let plays: [Play; 8] = [
        ("America/New_York", "day", "2027-01-15T08:00:00Z", "2027-01-16T05:00:00Z"),
        ("Asia/Kathmandu", "day", "2027-01-15T18:14:59Z", "2027-01-15T18:15:00Z"),
        ("Europe/Berlin", "week", "2027-01-15T08:00:00Z", "2027-01-17T23:00:00Z"),
        ("Europe/Berlin", "month", "2027-01-20T08:00:00Z", "2027-01-31T23:00:00Z"),
        // The clocks go forward in a day of 23 hours, and back in one of 25.
        ("Europe/Berlin", "day", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"),
        ("Europe/Berlin", "day", "2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z"),
        // 2028 is a leap year.
        ("UTC", "month", "2028-02-28T12:00:00Z", "2028-03-01T00:00:00Z"),
        ("UTC", "day", "2028-02-29T12:00:00Z", "2028-03-01T00:00:00Z"),
    ];
    for (zone, unit, first, next) in plays {
        let begun = Instant::now();
        let limits = format!("limits: [{{requests: 1/{unit}, zone: {zone}}}]\n");
        let world = World::new(&(Settings::plain().yaml() + &limits), |asked| Script::answer(asked, 5));
        let [first, next] = [first, next].map(|moment| Duration::from_secs(seconds(BEGINNING, moment)));
        let passed = at(&world, begun, 1, first).await;
        assert_eq!(passed.status.as_u16(), 200, "{zone} {unit}: {}", passed.text());
        for (number, before) in [(2, next - first), (3, Duration::from_secs(1))] {
            let refused = at(&world, begun, number, next - before).await;
            assert_eq!(refused.status.as_u16(), 429, "{zone} {unit}");
            assert_eq!(refused.header("retry-after"), before.as_secs().to_string(), "{zone} {unit}");
        }
        let passed = at(&world, begun, 4, next).await;
        assert_eq!(passed.status.as_u16(), 200, "{zone} {unit}: {}", passed.text());
    }
}
