//! The estimated cost of copying rows with the deployed functions, by list prices of us-east-1. The same model serves
//! the estimate before a run and the budget that a run is held to. `docs/explanation/cost.md` says where the money
//! goes.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::{Error, ErrorCode};
use crate::model::pieces::PIECE_BYTES;

/// The bytes of rows on the server that one slice copies in a second, at least.
pub const SLICE_RATE: u64 = 20_000_000;
/// The bytes of rows on the server for one byte in a file, at least: what encoding and compression save.
pub const PACKED: u64 = 3;

/// The price of one second of copy-delta with [`ONE_PROCESSOR`].
const PICO_USD_PER_SECOND: u128 = 28_833_391;
/// The memory in MB, 1.73 GB, with which Lambda gives one whole processor. It is the default of the template.
const ONE_PROCESSOR: u32 = 1769;
/// The price of a transition of the state machine.
const PICO_USD_PER_TRANSITION: u128 = 25_000_000;
/// The approximate number of transitions of a window, and of each slice in it.
const OF_A_WINDOW: u128 = 8;
const OF_A_SLICE: u128 = 3;
/// The price of a request that writes to S3. An upload has one for each of its pieces, and each slice has some more.
const PICO_USD_PER_WRITE: u128 = 5_000_000;
const WRITES_OF_A_SLICE: u128 = 4;
/// The picodollars in a microdollar.
const PICO_OF_MICRO: u128 = 1_000_000;

/// The memory of copy-delta in MB, which its price grows with.
///
/// Less than that of one processor is as much less of a processor. A copy takes as much longer, and costs what it would cost
/// with a whole one. More is a second processor, with which one slice is not copied faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyMemory(u32);

impl CopyMemory {
    /// Takes the memory in MB.
    #[must_use]
    pub const fn of_mb(mb: u32) -> Self {
        Self(mb)
    }

    fn pico_usd_per_second(self) -> u128 {
        PICO_USD_PER_SECOND * u128::from(self.0.max(ONE_PROCESSOR)) / u128::from(ONE_PROCESSOR)
    }
}

impl Default for CopyMemory {
    fn default() -> Self {
        Self(ONE_PROCESSOR)
    }
}

/// An amount of US dollars, in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd(u64);

impl Usd {
    /// Estimates the cost of copying rows that take `source_bytes` on the server, in so many slices of one window.
    #[must_use]
    pub fn of_copying(source_bytes: u64, slices: u64, memory: CopyMemory) -> Self {
        let seconds_by_rate = u128::from(source_bytes) * memory.pico_usd_per_second();
        let pieces = u128::from((source_bytes / PACKED).div_ceil(PIECE_BYTES as u64));
        let slices = u128::from(slices);
        let pico = seconds_by_rate / u128::from(SLICE_RATE)
            + (OF_A_WINDOW + slices * OF_A_SLICE) * PICO_USD_PER_TRANSITION
            + (pieces + slices * WRITES_OF_A_SLICE) * PICO_USD_PER_WRITE;
        Self(u64::try_from(pico.div_ceil(PICO_OF_MICRO)).unwrap_or(u64::MAX))
    }

    /// Estimates the cost of copying rows that became files of `file_bytes`, in so many slices of one window.
    #[must_use]
    pub fn of_files(file_bytes: u64, slices: u64, memory: CopyMemory) -> Self {
        Self::of_copying(file_bytes.saturating_mul(PACKED), slices, memory)
    }

    /// Returns whether the amount is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

impl fmt::Display for Usd {
    /// Writes the amount with four digits after the point, rounded up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_ten_thousandths = self.0.div_ceil(100);
        write!(f, "{}.{:04}", of_ten_thousandths / 10_000, of_ten_thousandths % 10_000)
    }
}

impl Serialize for Usd {
    /// Writes the amount as a number of dollars.
    #[expect(clippy::cast_precision_loss, reason = "below nine billion dollars there is none")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

impl FromStr for Usd {
    type Err = Error;

    /// Reads `2`, `2.5` or `0.000001`. More than six digits after the point are refused.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = !whole.is_empty() && is_digits(whole) && is_digits(fraction) && fraction.len() <= 6;
        let micros = is_number
            .then(|| format!("{whole}{fraction:0<6}").parse().ok())
            .flatten();
        micros.map(Self).ok_or_else(|| {
            let message = format!("'{text}' is not an amount of US dollars: write one with a point, like 2.50");
            Error::new(ErrorCode::InvalidInput, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn an_amount_is_exact_to_a_millionth() {
        assert_eq!(
            (usd("2.5"), usd("0.000001"), usd("0")),
            (Usd(2_500_000), Usd(1), Usd(0))
        );
        assert_eq!(
            (usd("2.5").to_string(), usd("0.00001").to_string()),
            ("2.5000".into(), "0.0001".into())
        );
        assert_eq!(serde_json::to_string(&usd("0.25")).unwrap(), "0.25");
        for text in ["", ".5", "-1", "1e3", "1.0000001", "1,5", "$2", "99999999999999999999"] {
            let error = text.parse::<Usd>().unwrap_err();
            assert!(error.to_string().contains(&format!("'{text}'")), "{error}");
        }
    }

    #[test]
    fn rows_slices_and_requests_cost_what_the_list_prices_say() {
        // 50 seconds of 1.73 GB; the transitions of a window and of eight slices; 40 pieces, and four writes for each
        // slice.
        let seconds = 50.0 * 1.73 * 0.000_016_666_7;
        let requests = (8.0 + 8.0 * 3.0) * 0.000_025 + (40.0 + 8.0 * 4.0) * 0.000_005;
        // A small function is slow and cheap. One with three processors costs three times as much a second.
        for (memory, seconds) in [(256, seconds), (1_769, seconds), (5_307, 3.0 * seconds)] {
            let memory = CopyMemory::of_mb(memory);
            let Usd(micros) = Usd::of_copying(1_000_000_000, 8, memory);
            let expected = (seconds + requests) * 1e6;
            assert!(
                (f64::from(u32::try_from(micros).unwrap()) - expected).abs() < 1.5,
                "{micros} {expected}"
            );
            assert_eq!(Usd::of_files(1_000, 1, memory), Usd::of_copying(3_000, 1, memory));
        }
    }
}
