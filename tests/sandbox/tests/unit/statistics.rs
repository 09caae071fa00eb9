//! The unit tests of `src/sql/exec/statistics.rs`.

use super::*;

#[test]
fn a_histogram_has_few_steps_and_every_row() {
    for count in [0, 1, 2, 200, 201, 5_000] {
        let values = (0..count).map(|value| (Value::Integer(value), 1 + value % 7));
        let rows: i64 = values.clone().map(|(_, rows)| rows).sum();
        let made = steps(std::iter::once((Value::Null, 3)).chain(values).collect());
        assert!(made.len() <= STEPS, "{count}: {}", made.len());
        let counted: i64 = made.iter().map(|step| step.range_rows + step.equal_rows).sum();
        assert_eq!(counted, rows + 3, "{count}");
        if count > 1 {
            assert_eq!(made[1].key, Value::Integer(0));
            assert_eq!(made[made.len() - 1].key, Value::Integer(count - 1));
        }
    }
}
