//! The locks alone: which exclude which, who waits, and who is the victim.

use super::*;

fn patience(ms: u64) -> Patience<'static> {
    Patience {
        spid: 51,
        limit: Some(Duration::from_millis(ms)),
        cancelled: &|| false,
    }
}

fn number(result: SqlResult<()>) -> i32 {
    result.err().map_or(0, |e| e.number)
}

#[test]
fn modes_exclude_each_other_as_documented() {
    let locks = Locks::default();
    let (a, b) = (locks.begin(), locks.begin());
    let cases = [
        (Mode::Change, Mode::Change, true),
        (Mode::Change, Mode::Shared, false),
        (Mode::Shared, Mode::Shared, true),
        (Mode::Shared, Mode::Update, true),
        (Mode::Update, Mode::Update, false),
        (Mode::Update, Mode::Change, false),
        (Mode::Exclusive, Mode::Change, false),
    ];
    for (table, (held, wanted, goes)) in (1..).zip(cases) {
        assert!(locks.try_take(a, Wanted::Table(table, held)));
        assert_eq!(
            locks.try_take(b, Wanted::Table(table, wanted)),
            goes,
            "{held:?} {wanted:?}"
        );
    }
}

#[test]
fn patience_ends_and_an_end_frees() {
    let locks = Locks::default();
    let (a, b) = (locks.begin(), locks.begin());
    locks.take(a, Wanted::Table(1, Mode::Update), &patience(0)).unwrap();
    let wanted = Wanted::Table(1, Mode::Change);
    assert_eq!(number(locks.take(b, wanted, &patience(0))), 1222);
    assert_eq!(number(locks.take(b, Wanted::End(a), &patience(0))), 1222);
    locks.end(a);
    assert_eq!(number(locks.take(b, wanted, &patience(0))), 0);
    assert_eq!(number(locks.take(b, Wanted::End(a), &patience(0))), 0);
}

#[test]
fn the_one_that_closes_a_circle_is_the_victim() {
    let locks = Locks::default();
    let (a, b) = (locks.begin(), locks.begin());
    locks.take(a, Wanted::Table(1, Mode::Update), &patience(0)).unwrap();
    locks.take(b, Wanted::Table(2, Mode::Update), &patience(0)).unwrap();
    std::thread::scope(|s| {
        let first = s.spawn(|| number(locks.take(a, Wanted::Table(2, Mode::Update), &patience(5000))));
        while !locked(&locks.state).waits.contains_key(&a) {
            std::thread::yield_now();
        }
        assert_eq!(
            number(locks.take(b, Wanted::Table(1, Mode::Update), &patience(5000))),
            1205
        );
        locks.end(b);
        assert_eq!(first.join().unwrap(), 0);
    });
}
