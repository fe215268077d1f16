//! Reads Prometheus' text format.

/// The sum of all series of `pareto_NAME` that have these labels.
pub fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let name = format!("pareto_{name}");
    let wanted: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let series = text.lines().filter_map(|line| line.rsplit_once(' '));
    series
        .filter(|(series, _)| {
            let (found, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels: Vec<_> = labels.trim_end_matches('}').split(',').collect();
            found == name && wanted.iter().all(|label| labels.contains(&label.as_str()))
        })
        .map(|(_, value)| value.parse::<f64>().unwrap())
        .sum()
}
