//! A source, a sink, and a bucket in memory in which somebody changes documents.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::Value;
use tidemark::error::{Answer, ErrorCode};
use tidemark::ledger::{Place, Pointers};
use tidemark::model::slice_id::SliceId;
use tidemark::model::table::TableSpec;
use tidemark::ports::objects::CreateObjects;
use tidemark::ports::secrets::{ReadSecrets, Secret};
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark::testing::MemoryStore;
use tidemark::testing::pipeline::Pipeline;
use tidemark_files::encoder::Files;
use tidemark_lambda::runner::decode;
use tidemark_sqlserver::login::{Credential, Logins, ServerSettings, Tls};
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::{KeptConnection, Mssql, Server};
use tidemark_sqlserver::sink::Sinks;
use tidemark_tests::stand_in::World;

use crate::form::form;

const PREFIX: &str = "p";
/// The secret of the source, and that of the only sink that the deployment names.
const SECRETS: [&str; 2] = ["source", "sink"];

/// The texts that somebody writes in place of others: names of other things that exist, and characters that would end a
/// name, a type or a literal in a statement.
const HOSTILE: [&str; 10] = [
    "victim",
    "secret",
    "bigint",
    "nvarchar(max)",
    "int); DROP TABLE victim; --",
    "x]; DROP TABLE victim; --",
    "x'; DROP TABLE victim; --",
    "x\"; DROP TABLE victim; --",
    "(SELECT secret FROM victim)",
    "x\nGO\nDROP TABLE victim",
];

/// A table that must be as it was in the end.
const VICTIM: &str = "create table victim (secret int); insert into victim values (1), (2), (3)";

type Steps<'a> = Pipeline<'a, Server, RowReader, Pointers<'a, MemoryStore>, MemoryStore, Files, Sinks>;

/// A store of secrets that has one for every name, and notes which were read.
#[derive(Debug)]
struct Opened {
    content: String,
    names: Mutex<BTreeSet<String>>,
}

impl ReadSecrets for Opened {
    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Answer<Secret>> {
        self.names.lock().unwrap().insert(name.to_owned());
        Box::pin(async { Ok(Secret::new(self.content.clone())) })
    }
}

/// A server with a table, and what is kept between invocations.
pub struct Tampering {
    world: World,
    spec: TableSpec,
    opened: Arc<Opened>,
    logins: Logins,
    credential: Credential,
    source: Server,
    rows: KeptConnection<Mssql>,
    sink: KeptConnection<Mssql>,
}

/// A window whose plan is frozen, and everything in its bucket.
pub struct FrozenWindow {
    objects: Vec<(String, Bytes)>,
    window: WindowOfRun,
    slices: Vec<SliceId>,
}

/// What became of a document's texts.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The number of texts that were replaced.
    pub replaced: usize,
    /// The number of steps that succeeded all the same, because what was replaced names nothing that is run.
    pub went_well: usize,
    /// The number of statements in which a hostile text stands, as a name.
    pub named: usize,
}

impl Tampering {
    /// Starts a server on which `script` is run, with its table as users configure it.
    pub async fn new(script: &str, spec: Value) -> Self {
        let world = World::new(&format!("{VICTIM}\nGO\n{script}")).await;
        let login = world.login();
        let content = serde_json::json!({
            "host": login.host, "port": login.port, "username": login.username(), "password": login.password(),
            "dbname": login.database,
        });
        let opened = Arc::new(Opened {
            content: content.to_string(),
            names: Mutex::default(),
        });
        let logins = Logins::new(opened.clone());
        let server = ServerSettings::of_secret(SECRETS[0]).with_tls(Tls::Trust);
        let credential = logins.credential(&server).await.unwrap();
        Self {
            spec: decode(spec).unwrap(),
            source: Server::new(credential.clone()),
            world,
            opened,
            logins,
            credential,
            rows: KeptConnection::default(),
            sink: KeptConnection::default(),
        }
    }

    /// Runs a script on the server.
    pub fn execute(&self, script: &str) {
        self.world.execute(script);
    }

    fn steps<'a>(&'a self, store: &'a MemoryStore, pointers: &'a Pointers<'a, MemoryStore>) -> Steps<'a> {
        Pipeline::new(
            &self.source,
            RowReader::new(self.credential.clone()).keeping(&self.rows),
            pointers,
            Place::new(store, PREFIX),
            Files,
            Sinks::new(
                &self.logins,
                ServerSettings::default().with_tls(Tls::Trust),
                vec![SECRETS[1].to_owned()],
                &self.sink,
            ),
        )
    }

    /// Returns the next window of the table after `runs` whole runs before it, each followed by a script.
    pub async fn frozen(&self, runs: &[&str]) -> FrozenWindow {
        let store = MemoryStore::default();
        let pointers = Pointers::new(Place::new(&store, PREFIX));
        let mut steps = self.steps(&store, &pointers);
        let tables = std::slice::from_ref(&self.spec);
        for script in runs {
            let outcome = Box::pin(steps.run("earlier", tables)).await.unwrap();
            assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
            self.execute(script);
        }
        let planned = Box::pin(steps.plan("planned", tables)).await.unwrap();
        assert!(planned.failed.is_empty(), "{:?}", planned.failed);
        let window = &planned.windows[0];
        FrozenWindow {
            objects: objects(&store),
            window: WindowOfRun::from(window),
            slices: (0..window.slices)
                .map(|number| SliceId::planned(number.try_into().unwrap()))
                .collect(),
        }
    }

    /// Returns the same window with its first slice split.
    pub async fn split(&self, frozen: &FrozenWindow) -> FrozenWindow {
        let store = frozen.bucket(None).await;
        let pointers = Pointers::new(Place::new(&store, PREFIX));
        let first = frozen.slices[0].clone();
        let split = Box::pin(self.steps(&store, &pointers).split("split", &frozen.window, first))
            .await
            .unwrap();
        assert!(split.slices.len() > 1, "{split:?}");
        FrozenWindow {
            objects: objects(&store),
            window: frozen.window.clone(),
            slices: split.slices,
        }
    }

    /// Splits the first slice of a window and, in another bucket, copies its slices and commits it. Returns what the
    /// server was asked, and the error of each step that failed.
    async fn run(
        &self,
        frozen: &FrozenWindow,
        changed: Option<(&str, &Value)>,
    ) -> (Vec<String>, Vec<Option<ErrorCode>>) {
        let mut ends = Vec::new();
        let to_split = frozen.bucket(changed).await;
        let pointers = Pointers::new(Place::new(&to_split, PREFIX));
        self.world.sandbox.statements();
        let split = self
            .steps(&to_split, &pointers)
            .split("s", &frozen.window, frozen.slices[0].clone())
            .await;
        ends.push(split.err().map(|error| error.code()));
        let to_copy = frozen.bucket(changed).await;
        let pointers = Pointers::new(Place::new(&to_copy, PREFIX));
        let mut steps = self.steps(&to_copy, &pointers);
        for slice in &frozen.slices {
            let copied = Box::pin(steps.copy_slice("c", &frozen.window, slice.clone())).await;
            ends.push(copied.err().map(|error| error.code()));
        }
        let updated = Box::pin(steps.update("u", &frozen.window)).await;
        ends.push(updated.err().map(|error| error.code()));
        let mut statements = self.world.sandbox.statements();
        statements.retain(|statement| statement != "LOGIN");
        (statements, ends)
    }

    /// Runs the steps of a window. Returns their errors, as [`Self::run`] does, and the secrets that are open by then.
    pub async fn run_untouched(&self, frozen: &FrozenWindow) -> (Vec<Option<ErrorCode>>, Vec<String>) {
        let (_, ends) = self.run(frozen, None).await;
        let opened = self.opened.names.lock().unwrap().iter().cloned().collect();
        (ends, opened)
    }

    /// Replaces every text of the only document of the window whose key ends so by every hostile one, and runs the
    /// steps that read it.
    pub async fn replace_texts(&self, frozen: &FrozenWindow, document: &str) -> Outcome {
        let mut known = BTreeSet::new();
        // The steps run twice: over new connections, and over those that are left.
        for _ in 0..2 {
            let (statements, ends) = self.run(frozen, None).await;
            // A sub-slice of one row cannot be split again.
            assert!(ends[1..].iter().all(Option::is_none), "{ends:?}");
            known.extend(statements.iter().map(|statement| form(statement)));
        }
        assert!(known.len() > 2, "{known:?}");
        let suffix = format!("/{}/{document}", frozen.window.window);
        let (key, body) = frozen.objects.iter().find(|(key, _)| key.ends_with(&suffix)).unwrap();
        let original: Value = serde_json::from_slice(body).unwrap();
        let mut outcome = Outcome::default();
        for pointer in texts(&original) {
            for hostile in HOSTILE {
                let mut changed = original.clone();
                *changed.pointer_mut(&pointer).unwrap() = hostile.into();
                let (statements, ends) = self.run(frozen, Some((key, &changed))).await;
                for statement in &statements {
                    let form = form(statement);
                    assert!(
                        known.contains(&form),
                        "{pointer} = {hostile}: {statement}\nis {form}\nand not of {known:#?}"
                    );
                    outcome.named += usize::from(statement.contains(&format!("[{}]", hostile.replace(']', "]]"))));
                }
                assert!(
                    !ends.contains(&Some(ErrorCode::Internal)),
                    "{pointer} = {hostile}: {ends:?}"
                );
                outcome.replaced += 1;
                outcome.went_well += usize::from(ends.iter().all(Option::is_none));
            }
        }
        let victim = self
            .world
            .sandbox
            .execute("SELECT COUNT(*), SUM(secret) FROM victim")
            .unwrap();
        assert_eq!(victim[0].rows, [["3", "6"].map(|number| Some(number.to_owned()))]);
        let opened = self.opened.names.lock().unwrap().clone();
        assert!(opened.iter().all(|name| SECRETS.contains(&name.as_str())), "{opened:?}");
        outcome
    }
}

impl FrozenWindow {
    /// Makes a bucket with these objects, one of them changed.
    async fn bucket(&self, changed: Option<(&str, &Value)>) -> MemoryStore {
        let store = MemoryStore::default();
        for (key, body) in &self.objects {
            let body = match changed {
                Some((changed, document)) if changed == key => Bytes::from(document.to_string()),
                _ => body.clone(),
            };
            store.create(key, body).await.unwrap();
        }
        store
    }
}

fn objects(store: &MemoryStore) -> Vec<(String, Bytes)> {
    let keys = store.keys().into_iter();
    keys.map(|key| (key.clone(), store.body(&key).unwrap())).collect()
}

/// Returns where a document has texts.
fn texts(document: &Value) -> Vec<String> {
    let (mut found, mut waiting) = (Vec::new(), vec![(String::new(), document)]);
    while let Some((at, value)) = waiting.pop() {
        match value {
            Value::String(_) => found.push(at),
            Value::Array(items) => waiting.extend(
                items
                    .iter()
                    .enumerate()
                    .map(|(number, item)| (format!("{at}/{number}"), item)),
            ),
            Value::Object(fields) => waiting.extend(fields.iter().map(|(name, field)| (format!("{at}/{name}"), field))),
            _ => {}
        }
    }
    found
}
