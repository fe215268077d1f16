//! Answers beyond what a recording holds: a moving window, a writer that waits, and no laggards.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pareto::response::recording::{
    Completed, Ending, Form, Frame, MAX_RECORDING, Playback, Read, Recorder, Recording, ResponseHead,
};
use tokio::time::timeout;

use crate::provider::{Asked, Script};
use crate::settings::Settings;
use crate::world::{Ask, End, World};

const PIECE: usize = 1 << 20;
/// Frames that a recording holds.
const FULL: usize = MAX_RECORDING / PIECE;
/// Frames of an answer too large to be held.
const MANY: usize = FULL + 40;

fn start() -> (Recorder, Playback) {
    let (recorder, playback) = Recording::start();
    let (status, headers) = (StatusCode::OK, HeaderMap::new());
    recorder.head(ResponseHead {
        status,
        headers,
        form: Form::Whole,
        upstream: Duration::ZERO,
        provider: "p".into(),
        attempts: 1,
    });
    (recorder, playback)
}

/// Large frames that share their bytes.
fn frames() -> impl Iterator<Item = Frame> {
    let bytes = Bytes::from(vec![0; PIECE]);
    (0..MANY).map(move |_| Frame::Piece(bytes.clone()))
}

/// Reads what is there now.
async fn catch_up(playback: &Playback, read: &mut usize) {
    let mut frames = Vec::new();
    // Whoever has read everything would wait: the paused clock moves on at once.
    let _ = timeout(Duration::from_millis(1), playback.read(&mut frames)).await;
    *read += frames.len();
}

async fn ending(playback: &Playback) -> Ending {
    let mut frames = Vec::new();
    loop {
        if let Read::End(ending) = playback.read(&mut frames).await {
            return ending;
        }
    }
}

fn complete() -> Ending {
    Ending::Complete(Completed::default())
}

#[tokio::test(start_paused = true)]
async fn the_writer_waits_for_its_only_reader_once_the_recording_is_full() {
    let (recorder, playback) = start();
    let recording = recorder.recording().clone();
    let mut writer = tokio::spawn(async move {
        for frame in frames() {
            recorder.push(frame).await;
        }
        recorder.finish(complete());
    });
    assert!(timeout(Duration::from_secs(1), &mut writer).await.is_err(), "nothing held the writer back");
    let mut read = 0;
    catch_up(&playback, &mut read).await;
    assert_eq!(read, FULL + 1, "what is held beyond the bound is one frame");
    assert!(recording.join().is_none(), "a window that moved has no start to join at");
    while read < MANY {
        catch_up(&playback, &mut read).await;
    }
    writer.await.unwrap();
    assert_eq!(read, MANY);
    assert!(matches!(ending(&playback).await, Ending::Complete(_)));
    assert!(recording.frames().is_none(), "not all of it is there to be stored");
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_waits_goes_on_when_its_only_reader_leaves() {
    let (recorder, playback) = start();
    let recording = recorder.recording().clone();
    let mut writer = tokio::spawn(async move {
        for frame in frames() {
            recorder.push(frame).await;
        }
    });
    assert!(timeout(Duration::from_secs(1), &mut writer).await.is_err());
    drop(playback);
    recording.abandoned().await;
    writer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_the_reader_that_holds_the_others_up_is_left_behind() {
    let (recorder, quick) = start();
    let nearly = recorder.recording().join().unwrap();
    let laggard = recorder.recording().join().unwrap();
    let (mut by_quick, mut by_nearly) = (0, 0);
    for (at, frame) in frames().enumerate() {
        recorder.push(frame).await;
        catch_up(&quick, &mut by_quick).await;
        if at % 2 == 0 {
            catch_up(&nearly, &mut by_nearly).await;
        }
    }
    assert_eq!(recorder.recording().readers(), 2, "the one that is a frame behind stays");
    recorder.finish(complete());
    catch_up(&nearly, &mut by_nearly).await;
    assert_eq!((by_quick, by_nearly), (MANY, MANY));
    for playback in [&quick, &nearly] {
        assert!(matches!(ending(playback).await, Ending::Complete(_)));
    }
    assert!(matches!(ending(&laggard).await, Ending::Failed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_vanishes_ends_the_recording_as_failed() {
    let (recorder, playback) = start();
    recorder.push(Frame::Piece(Bytes::from_static(b"half"))).await;
    drop(recorder);
    assert!(matches!(ending(&playback).await, Ending::Failed(_)));
}

/// The whole way: 104 MiB to one client that reads in large steps.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_holds_back_the_provider_and_gets_all() {
    let piece = Bytes::from(vec![b' '; PIECE]);
    let world = World::new(&Settings::plain().yaml(), move |asked: &Asked| {
        let pieces = vec![(Duration::ZERO, piece.clone()); MANY];
        Script { pieces, ..Script::answer(asked, 1) }
    });
    let heard = world.ask(Ask { pace: Duration::from_secs(5), ..Ask::chat(1) }).await;
    assert_eq!((heard.status.as_u16(), heard.end, heard.body.len()), (200, End::Clean, MANY * PIECE));
    let record = &world.provider.log()[0];
    assert!(record.ended.unwrap() - record.started >= Duration::from_secs(5), "nothing held it back");
    assert_eq!((world.kept.cache.entries(), world.unrest()), (0, Vec::new()));
}
