//! A watermark store in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::error::Answer;
use crate::model::names::ObjectName;
use crate::model::watermark::{StoreType, StoredWatermark, Watermark, WatermarkKey};
use crate::ports::watermarks::{ClearWatermarks, MoveWatermarks, Moved, ReadWatermarks};

/// Watermarks by table.
#[derive(Debug)]
pub struct MemoryWatermarks {
    store_type: StoreType,
    values: Mutex<BTreeMap<ObjectName, String>>,
}

impl MemoryWatermarks {
    /// Makes an empty store whose values have this type.
    #[must_use]
    pub const fn new(store_type: StoreType) -> Self {
        Self {
            store_type,
            values: Mutex::new(BTreeMap::new()),
        }
    }

    /// Returns a store of its own with the present content of this one.
    #[must_use]
    pub fn copied(&self) -> Self {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self {
            store_type: self.store_type.clone(),
            values: Mutex::new(values),
        }
    }

    /// Returns the stored value of a table.
    pub fn value(&self, table: &ObjectName) -> Option<String> {
        self.values
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(table)
            .cloned()
    }

    /// Sets the value as a person would, or deletes it.
    pub fn set(&self, table: &ObjectName, value: Option<&str>) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => values.insert(table.clone(), value.to_owned()),
            None => values.remove(table),
        };
    }
}

impl ReadWatermarks for MemoryWatermarks {
    async fn stored(&self, key: &WatermarkKey) -> Answer<StoredWatermark> {
        Ok(StoredWatermark {
            store_type: self.store_type.clone(),
            value: self.value(&key.table),
            reset: None,
        })
    }
}

impl MoveWatermarks for MemoryWatermarks {
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Answer<Moved> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.get(&key.table) != expected.value.as_ref() {
            return Ok(Moved::Changed);
        }
        values.insert(key.table.clone(), new.value().to_owned());
        Ok(Moved::Moved)
    }
}

impl ClearWatermarks for MemoryWatermarks {
    async fn clear(&self, key: &WatermarkKey, _reset: &str) -> Answer<()> {
        self.set(&key.table, None);
        Ok(())
    }
}
