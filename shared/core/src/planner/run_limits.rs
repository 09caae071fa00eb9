//! The most that a run may copy. An execution of a Standard state machine ends after 25,000 events, and nothing can
//! catch that; its states carry 256 KiB (<https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>).
//! Without these limits, every later run that copies the same windows would end where this one did.

use crate::model::lookup::CopyWindow;
use crate::model::names::ObjectName;

/// The events that windows may take when each slice is tried again [`TRIES_OF_A_SLICE`] times and none is split. The
/// rest is for splits and further tries.
const EVENTS: usize = 20_000;
/// The events of a window without its slices: its iteration, the wait, the Map over slices, the commit and what follows
/// it.
const EVENTS_OF_A_WINDOW: usize = 17;
/// How often each slice of a run is tried again on average, as when Lambda has no room for another invocation. A run
/// whose slices all wait for a quarter of an hour, as long as a slice can take, tries each nine times. It still ends
/// below 25,000 events (tests/contracts/test_limits_of_runs.py).
const TRIES_OF_A_SLICE: usize = 7;
/// The events of a slice: its iteration and one task, and the three of a task that failed and is tried again.
const EVENTS_OF_A_SLICE: usize = 7 + 3 * TRIES_OF_A_SLICE;

/// The bytes of the payload that windows may take, both as they are named and as they are reported once they are
/// committed. The rest is for tables that are unchanged, have failed or have notes.
const BYTES: usize = 200_000;
/// The bytes of the report of a committed window beside the names in it.
const BYTES_OF_A_REPORT: usize = 170;

/// Returns the most bytes that a window takes of the payload.
fn bytes_of(window: &CopyWindow) -> usize {
    let named = serde_json::to_vec(window).map_or(0, |text| text.len());
    let names = window.table.to_string().len() + 2 * window.window.to_string().len();
    named.max(BYTES_OF_A_REPORT + names)
}

/// Takes out of `windows` those that do not fit into this run any more, and returns the names of their tables.
///
/// The windows that were frozen first come first, because earlier runs have held them back: otherwise the tables at the
/// end of a list would wait in every run in which those before them have changed. Those of one run are taken in their
/// order. At least one stays.
pub(crate) fn hold_back(windows: &mut Vec<CopyWindow>) -> Vec<ObjectName> {
    let (mut events, mut bytes) = (0, 0);
    let mut waiting = Vec::new();
    windows.sort_by_key(|window| window.frozen_at);
    windows.retain(|window| {
        let own = EVENTS_OF_A_WINDOW + EVENTS_OF_A_SLICE * window.slices;
        let own_bytes = bytes_of(window);
        let stays = events == 0 || events + own <= EVENTS && bytes + own_bytes <= BYTES;
        if stays {
            events += own;
            bytes += own_bytes;
        } else {
            waiting.push(window.table.clone());
        }
        stays
    });
    if !waiting.is_empty() {
        tracing::warn!(
            windows = windows.len(),
            waiting = waiting.len(),
            "There are more windows, or slices of them, than one run can copy; the next run copies those that wait."
        );
    }
    waiting
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;
    use crate::model::moment::Moment;
    use crate::model::table::RunSettings;
    use crate::model::types::TypeName;
    use crate::model::watermark::Watermark;
    use crate::model::window::WindowName;

    fn windows(slices: &[usize]) -> Vec<CopyWindow> {
        let window = |(number, &slices): (usize, &usize)| CopyWindow {
            table: format!("dbo.t{number}").parse().unwrap(),
            window: WindowName::initial(),
            slices,
            settle_seconds: 0,
            adopted: false,
            frozen_at: None,
            old_watermark: None,
            new_watermark: Watermark::new(TypeName::new("int").unwrap(), "1").unwrap(),
            settings: RunSettings::default(),
        };
        slices.iter().enumerate().map(window).collect()
    }

    fn held_back(slices: &[usize]) -> (usize, Vec<String>) {
        let mut windows = windows(slices);
        let waiting = hold_back(&mut windows);
        (windows.len(), waiting.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_run_copies_what_its_history_can_hold() {
        assert_eq!(held_back(&[]), (0, vec![]));
        assert_eq!(held_back(&[1; 400]), (400, vec![]));
        assert_eq!(held_back(&[500, 500]).0, 1, "a window has 500 slices at most");
        let (copied, waiting) = held_back(&[100; 10]);
        assert_eq!((copied, waiting.len()), (7, 3));
        let once = copied * (17 + 7 * 100);
        assert!(
            once + 9 * 3 * copied * 100 < 25_000,
            "and each slice may be tried again nine times"
        );
    }

    #[test]
    fn a_run_copies_what_its_payload_can_hold() {
        let mut windows = windows(&[1; 800]);
        let waiting = hold_back(&mut windows);
        let all: usize = windows.iter().map(bytes_of).sum();
        assert!(
            windows.len() > 400 && windows.len() + waiting.len() == 800,
            "{}",
            windows.len()
        );
        assert!(all <= BYTES && serde_json::to_vec(&windows).unwrap().len() < 256 * 1024);
    }

    #[test]
    fn a_table_that_waits_has_its_turn_before_those_that_have_had_theirs() {
        let begins = datetime!(2026-11-30 12:00 UTC);
        let mut frozen_at: Vec<Option<Moment>> = vec![None; 1_000];
        let mut waited = vec![0; frozen_at.len()];
        for run in 0..8 {
            // Every table has changed since it was copied, and the window of one that waits was frozen when it began to.
            let now = Moment::of(begins + Duration::from_secs(3600 * run));
            let mut windows = windows(&vec![1; frozen_at.len()]);
            for (window, frozen_at) in windows.iter_mut().zip(&mut frozen_at) {
                window.frozen_at = Some(*frozen_at.get_or_insert(now));
            }
            hold_back(&mut windows);
            assert!(windows.len() > 400);
            waited.iter_mut().for_each(|runs| *runs += 1);
            for copied in windows {
                let number: usize = copied.table.to_string()[5..].parse().unwrap();
                (frozen_at[number], waited[number]) = (None, 0);
            }
            assert!(
                waited.iter().all(|runs| *runs <= 2),
                "three runs have room for 1,000 tables"
            );
        }
    }

    #[test]
    fn what_is_small_is_not_held_back_by_what_is_large() {
        assert_eq!(held_back(&[400, 500, 1]), (2, vec!["dbo.t1".to_owned()]));
        assert_eq!(
            held_back(&[5_000, 1]),
            (1, vec!["dbo.t1".to_owned()]),
            "at least one window is copied"
        );
    }
}
