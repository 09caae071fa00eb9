//! The chain of committed windows: each manifest leads to the window after it.

use std::collections::HashMap;

use futures::stream::{self, StreamExt};

use super::{AT_ONCE, Ledger};
use crate::error::{Error, ErrorCode, Result};
use crate::model::manifest::Manifest;
use crate::model::plan::Plan;
use crate::model::window::WindowName;
use crate::ports::objects::ReadObjects;

/// Most windows the chain of manifests is followed for in one go: a guard against a ledger that leads in a circle.
const MAX_CHAIN: usize = 1_000_000;

/// The end of the chain of committed windows that starts at some window.
#[derive(Debug, PartialEq, Eq)]
pub struct ChainEnd {
    /// The last committed window.
    pub window: WindowName,
    /// Its manifest.
    pub manifest: Manifest,
}

/// What following the manifests came to.
struct Followed {
    /// The last committed window on the way, if there is one.
    end: Option<ChainEnd>,
    /// Whether the way leads to the window that was looked for.
    arrived: bool,
}

impl<S: ReadObjects> Ledger<'_, S> {
    /// The plans of the full loads that took the place of other windows.
    pub async fn reinits(&self) -> Result<Vec<Plan>> {
        let folders = self.store.folders(&self.keys.reinits()).await?;
        let expired = folders.into_iter().filter_map(|name| WindowName::try_from(name).ok());
        let mut plans = stream::iter(expired)
            .map(|expired| async move { self.plan(&WindowName::reinit(&expired)).await })
            .buffered(AT_ONCE);
        let mut found = Vec::new();
        while let Some(plan) = plans.next().await {
            found.extend(plan?);
        }
        Ok(found)
    }

    /// Follows the manifests from `window` to the last committed window. `None` when `window` is not committed.
    pub async fn chain_end(&self, window: &WindowName) -> Result<Option<ChainEnd>> {
        Ok(self.follow(window, None).await?.end)
    }

    /// The end of the one chain of committed windows this ledger holds, wherever it starts; `None` without any.
    ///
    /// Reads every manifest: for when nothing says where the chain starts. Errors: `LedgerInvalid` when there are several
    /// chains, because no one but the user knows which is the table's present history.
    pub async fn only_chain_end(&self) -> Result<Option<ChainEnd>> {
        let folders = self.store.folders(&self.keys.windows()).await?;
        let names = folders
            .into_iter()
            .filter_map(|folder| WindowName::try_from(folder).ok());
        let mut manifests = stream::iter(names)
            .map(|window| async move { Ok(self.manifest(&window).await?.map(|manifest| (window, manifest))) })
            .buffered(AT_ONCE);
        let mut committed = HashMap::new();
        while let Some(read) = manifests.next().await {
            let read: Result<Option<(WindowName, Manifest)>> = read;
            committed.extend(read?);
        }
        let goes_on = |manifest: &Manifest| committed.contains_key(&manifest.next_window());
        let mut ends = committed.iter().filter(|(_, manifest)| !goes_on(manifest));
        let Some((window, manifest)) = ends.next() else {
            return Ok(None);
        };
        if let Some((_, other)) = ends.next() {
            let message = format!(
                "the watermark store holds nothing for {}, and its committed windows end in two places, at {} and at {}: \
                 set the watermark to the one that holds",
                manifest.table, manifest.new_watermark, other.new_watermark
            );
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        }
        Ok(Some(ChainEnd {
            window: window.clone(),
            manifest: manifest.clone(),
        }))
    }

    /// Whether the manifests lead from window `from` to window `to`.
    pub async fn leads_to(&self, from: &WindowName, to: &WindowName) -> Result<bool> {
        Ok(self.follow(from, Some(to)).await?.arrived)
    }

    /// Follows the manifests from `from` to their end or, if they lead there, to `to`: the last committed window on the
    /// way, and whether it leads to `to`.
    async fn follow(&self, from: &WindowName, to: Option<&WindowName>) -> Result<Followed> {
        let mut end = None;
        let mut next = from.clone();
        for _ in 0..MAX_CHAIN {
            let Some(manifest) = self.manifest(&next).await? else {
                return Ok(Followed { end, arrived: false });
            };
            let window = std::mem::replace(&mut next, manifest.next_window());
            if window == next {
                let key = self.keys.manifest(&window);
                let message = format!("{key} leads to itself: its window is empty");
                return Err(Error::new(ErrorCode::LedgerInvalid, message));
            }
            end = Some(ChainEnd { window, manifest });
            if Some(&next) == to {
                return Ok(Followed { end, arrived: true });
            }
        }
        let message = format!("the manifests after {} do not end", self.keys.manifest(from));
        Err(Error::new(ErrorCode::LedgerInvalid, message))
    }
}
