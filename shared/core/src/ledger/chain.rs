//! The chain of committed windows: each manifest leads to the window after it.

use std::collections::{HashMap, HashSet};

use futures::stream::{self, StreamExt};

use super::limits::AT_ONCE;
use super::of_table::Ledger;
use super::slices::Left;
use crate::error::{Error, ErrorCode, Result};
use crate::model::manifest::Manifest;
use crate::model::plan::{Content, Plan};
use crate::model::watermark::WatermarkKey;
use crate::model::window::WindowName;
use crate::ports::objects::ReadObjects;

/// The end of the chain of committed windows that starts at some window.
#[derive(Debug, PartialEq, Eq)]
pub struct ChainEnd {
    /// The last committed window.
    pub window: WindowName,
    /// The manifest of that window.
    pub manifest: Manifest,
}

/// How far a table is copied.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The last committed window, if there is one.
    pub last: Option<Manifest>,
    /// The window after it, if it is frozen.
    pub pending: Option<Plan>,
}

/// What following the manifests led to.
pub(crate) struct Followed {
    /// The last committed window on the way, if there is one.
    pub(crate) end: Option<ChainEnd>,
    /// Whether the window after it is frozen.
    pub(crate) is_frozen: bool,
    /// Whether the manifests lead to the window that was looked for.
    arrived: bool,
}

/// The windows through which a walk has come.
#[derive(Default)]
struct Met(HashSet<WindowName>);

impl Met {
    /// Adds a window.
    ///
    /// Errors: `LedgerInvalid`, saying what leads in a circle, when the walk has come through it before.
    fn meet(&mut self, window: &WindowName, circle: impl FnOnce() -> String) -> Result<()> {
        if self.0.insert(window.clone()) {
            return Ok(());
        }
        let message = format!("{}: restore what Tidemark wrote there", circle());
        Err(Error::new(ErrorCode::LedgerInvalid, message))
    }
}

impl<S: ReadObjects> Ledger<'_, S> {
    /// Returns the names of the windows that have a folder in the table's ledger, sorted as keys are.
    pub async fn windows(&self) -> Result<Vec<WindowName>> {
        self.windows_below(&self.keys.windows()).await
    }

    async fn windows_below(&self, prefix: &str) -> Result<Vec<WindowName>> {
        let folders = self.store.folders(prefix).await?.into_iter();
        Ok(folders.filter_map(|name| WindowName::try_from(name).ok()).collect())
    }

    /// Returns the key of the table's row in the watermark store, as the last plan in the order of keys has it. A table
    /// may be configured to have a name of its own in the control table.
    pub async fn watermark_key(&self) -> Result<WatermarkKey> {
        for window in self.windows().await?.into_iter().rev() {
            if let Some(plan) = self.plan(&window).await? {
                return Ok(plan.watermark_key());
            }
        }
        Ok(WatermarkKey::new(self.table, None))
    }

    /// Returns the plans of the full loads that took the place of other windows.
    pub async fn reinits(&self) -> Result<Vec<Plan>> {
        let expired = self.windows_below(&self.keys.reinits()).await?;
        let mut plans = stream::iter(expired)
            .map(|expired| async move { self.plan(&WindowName::reinit(&expired)).await })
            .buffered(AT_ONCE);
        let mut found = Vec::new();
        while let Some(plan) = plans.next().await {
            found.extend(plan?);
        }
        Ok(found)
    }

    /// Follows the manifests from `window` to the last committed window. Returns `None` when `window` is not committed.
    pub async fn chain_end(&self, window: &WindowName) -> Result<Option<ChainEnd>> {
        Ok(self.follow(window, None).await?.end)
    }

    /// Returns the end of the one chain of committed windows that this ledger holds, wherever it starts, or `None` when
    /// nothing is committed.
    ///
    /// It reads every manifest, and is for when nothing says where the chain starts. Errors: `LedgerInvalid` when there
    /// are several chains, because only the user knows which is the table's present history.
    pub async fn only_chain_end(&self) -> Result<Option<ChainEnd>> {
        let windows = self.windows().await?.into_iter();
        let in_chain = windows.filter(|window| window.backfill_number().is_none());
        let mut manifests = stream::iter(in_chain)
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
            return Err(Error::about(ErrorCode::LedgerInvalid, &manifest.table, |table| {
                format!(
                    "the watermark store holds nothing for {table}, and its committed windows end in two places, at {} and at {}: \
                     set the watermark to the one that is right",
                    manifest.new_watermark, other.new_watermark
                )
            }));
        }
        Ok(Some(ChainEnd {
            window: window.clone(),
            manifest: manifest.clone(),
        }))
    }

    /// Returns how far the table is copied, given what its watermark store holds.
    pub async fn reached(&self, stored: Option<&str>) -> Result<Reached> {
        let at = WindowName::after_stored(stored);
        // There are three cases: the pointer lags behind; or it stands at the end, where `previous.json` names the last
        // window; or there is no pointer.
        let last = match self.chain_end(&at).await? {
            Some(end) => Some(end.manifest),
            None if stored.is_none() => self.only_chain_end().await?.map(|end| end.manifest),
            None => match self.previous(&at).await? {
                Some(previous) => self.manifest(&previous.window).await?,
                None => None,
            },
        };
        let next = last.as_ref().map_or(at, Manifest::next_window);
        let pending = self.pending(next).await?;
        Ok(Reached { last, pending })
    }

    /// Returns the plan of this window or, when another window is copied in its place and already frozen, the plan of
    /// that one.
    async fn pending(&self, mut window: WindowName) -> Result<Option<Plan>> {
        let mut superseded = None;
        let mut met = Met::default();
        loop {
            met.meet(&window, || {
                let key = self.keys.plan(&window);
                format!("the windows that replace the one of {key} lead in a circle")
            })?;
            let Some(plan) = self.plan(&window).await? else {
                return Ok(superseded);
            };
            let Some(by) = self.superseding(&plan).await? else {
                return Ok(Some(plan));
            };
            superseded = Some(plan);
            window = by;
        }
    }

    /// Returns the window that is copied in place of this plan's, if one is.
    async fn superseding(&self, plan: &Plan) -> Result<Option<WindowName>> {
        if let Content::Superseded { by } = &plan.content {
            return Ok(Some(by.clone()));
        }
        Ok(match self.left(plan).await? {
            Left::SupersededBy(by) => Some(by),
            Left::Nothing | Left::Slice(_) => None,
        })
    }

    /// Returns whether the manifests lead from window `from` to window `to`.
    pub async fn leads_to(&self, from: &WindowName, to: &WindowName) -> Result<bool> {
        Ok(self.follow(from, Some(to)).await?.arrived)
    }

    /// Follows the manifests from `from` to their end or, if they lead there, to `to`. Returns the last committed
    /// window on the way, and whether the manifests lead to `to`. A committed window has a plan (W4), so it asks one
    /// question about a window that has none.
    pub(crate) async fn follow(&self, from: &WindowName, to: Option<&WindowName>) -> Result<Followed> {
        let mut end = None;
        let mut next = from.clone();
        let mut met = Met::default();
        loop {
            met.meet(&next, || {
                let key = self.keys.manifest(from);
                format!("the manifests after {key} lead in a circle")
            })?;
            let plan = self.plan(&next).await?;
            let manifest = match &plan {
                Some(plan) => self.commit_of(plan).await?,
                None => None,
            };
            let Some(manifest) = manifest else {
                let is_frozen = plan.is_some();
                return Ok(Followed {
                    end,
                    is_frozen,
                    arrived: false,
                });
            };
            let window = std::mem::replace(&mut next, manifest.next_window());
            if window == next {
                let key = self.keys.manifest(&window);
                let message = format!(
                    "{key} ends where it starts, so no window can follow it: restore what Tidemark wrote there"
                );
                return Err(Error::new(ErrorCode::LedgerInvalid, message));
            }
            end = Some(ChainEnd { window, manifest });
            if Some(&next) == to {
                return Ok(Followed {
                    end,
                    is_frozen: false,
                    arrived: true,
                });
            }
        }
    }
}
