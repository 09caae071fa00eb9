//! The layers, each in a process of its own as the whole way is. Every layer does what the one before it does, and one
//! thing more: receive the bytes, decode them, build record batches, encode the file.

use std::process::Command;

use arrow_array::RecordBatch;
use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::connection::tds_client::TdsClient;
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::EncryptionSetting;
use serde_json::{Value, json};
use tidemark::error::{Answer, Error, ErrorCode, OfRole, Role};
use tidemark::model::field_ids::FieldIds;
use tidemark::model::format::Format;
use tidemark::model::rows::Rows;
use tidemark::model::types::{Column, TypeName, WantedForms};
use tidemark::model::values::Values;
use tidemark::ports::files::{EncodeFiles, EncodePart, TakeBytes};
use tidemark::ports::rows::{ReadRows, TakeBatches};
use tidemark_bench::bare_drain;
use tidemark_bench::process::{Measured, measure};
use tidemark_bench::whole::{KEY, Whole};
use tidemark_files::encoder::Files;
use tidemark_replay::tables::Table;
use tidemark_sqlserver::login::{Login, Tls};
use tidemark_sqlserver::rows::{BatchLimits, RowReader};
use tidemark_sqlserver::types;
use tokio::sync::mpsc;

use crate::{Failure, copies};

/// The argument that makes this program a layer.
pub const ARGUMENT: &str = "layer";
/// The bytes of a part that are thrown away at once.
const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// How a layer is connected to the server.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
    /// The size of packets in bytes that the layer `decode` asks for. The layers after it ask for that of copy-delta.
    pub packet_bytes: u16,
}

impl Link {
    /// Makes a link with packets as copy-delta asks for them.
    pub const fn new(is_encrypted: bool) -> Self {
        Self {
            is_encrypted,
            packet_bytes: 16_383,
        }
    }
}

/// Runs a layer in a process of its own.
pub fn run(layer: &str, table: &Table, format: &str, login: &Login, link: Link) -> Result<Measured, Failure> {
    let wanted = copies::spec(copies::TABLE, &json!({ "format": format }))?.wanted_forms();
    let event = json!({
        "layer": layer, "columns": columns(table, wanted)?, "format": format, "host": login.host, "port": login.port,
        "username": login.username(), "password": login.password(), "database": login.database,
        "sql": "SELECT 1", "is_encrypted": link.is_encrypted, "packet_bytes": link.packet_bytes,
    });
    run_event(&event)
}

/// Runs the bare drain of a batch, in a process of its own.
pub fn drain(sql: &str, login: &Login) -> Result<Measured, Failure> {
    let event = json!({
        "layer": "drain", "columns": [], "format": "parquet", "host": login.host, "port": login.port,
        "username": login.username(), "password": login.password(), "database": login.database,
        "sql": sql, "is_encrypted": true,
    });
    run_event(&event)
}

fn run_event(event: &Value) -> Result<Measured, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(ARGUMENT);
    measure(command, event)
}

/// Returns the columns of a table, as a plan has them.
pub fn columns(table: &Table, wanted: WantedForms) -> Result<Vec<Column>, Failure> {
    let columns = table.columns.iter().map(|column| {
        let sql_type = TypeName::new(column.sql_type)?;
        Ok(Column {
            name: column.name.to_owned(),
            form: types::form(&sql_type, wanted)?,
            sql_type,
            nullable: column.name != KEY,
            values: Values::OfSource,
        })
    });
    columns.collect()
}

/// Does the work of a layer's process: reads what to do, does it, and writes the outcome.
pub async fn layer() -> Result<(), Failure> {
    let event: Value = serde_json::from_reader(std::io::stdin())?;
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let login = Login::new(
        text("host"),
        serde_json::from_value(event["port"].clone())?,
        text("username"),
        text("password"),
        text("database"),
    )
    .with_tls(Tls::Trust);
    let is_encrypted = event["is_encrypted"] == true;
    let columns: Vec<Column> = serde_json::from_value(event["columns"].clone())?;
    let format: Format = serde_json::from_value(event["format"].clone())?;
    let layer = text("layer");
    if layer == "drain" {
        let bytes = bare_drain::connect(&login)?.run(&text("sql"))?;
        println!("{}", json!({ "bytes": bytes }));
        return Ok(());
    }
    let (rows, bytes) = match layer.as_str() {
        "decode" => {
            let packet_bytes = serde_json::from_value(event["packet_bytes"].clone())?;
            let link = Link {
                is_encrypted,
                packet_bytes,
            };
            (decoded(&login, link).await?, 0)
        }
        "build" => (read(reader(login, is_encrypted), &columns, &mut Discard).await?, 0),
        "encode" => encoded(reader(login, is_encrypted), &columns, &format).await?,
        other => return Err(format!("there is no layer {other}").into()),
    };
    println!("{}", json!({ "rows": rows, "bytes": bytes }));
    Ok(())
}

fn reader(login: Login, is_encrypted: bool) -> RowReader {
    if is_encrypted {
        RowReader::new(login)
    } else {
        RowReader::unencrypted(login, BatchLimits::default())
    }
}

/// Reads the rows that the server has prepared, whatever it is asked for.
async fn read(
    mut reader: RowReader,
    columns: &[Column],
    batches: &mut impl TakeBatches<RecordBatch>,
) -> Result<u64, Failure> {
    let whole = Whole::of(copies::TABLE)?;
    let rows = Rows::Interval(whole.interval());
    Ok(reader.read(&rows, columns, batches).await.of(Role::Source)?.rows)
}

async fn decoded(login: &Login, link: Link) -> Result<u64, Failure> {
    let mut client = Box::pin(connect(login, link)).await?;
    client
        .execute_sp_executesql("SELECT 1".to_owned(), Vec::new(), ())
        .await?;
    let mut null = crate::null::Null::default();
    loop {
        use mssql_tds::connection::tds_client::BufferedRowPoll;
        match client.try_next_buffered_row_into(&mut null)? {
            BufferedRowPoll::Complete => {}
            BufferedRowPoll::Partial => client.finish_row_into(&mut null).await?,
            BufferedRowPoll::Pending => {
                if !client.next_row_into(&mut null).await? {
                    break;
                }
            }
            BufferedRowPoll::Exhausted => break,
        }
    }
    Ok(null.rows)
}

async fn connect(login: &Login, link: Link) -> Result<TdsClient, Failure> {
    let address = format!("tcp:{},{}", login.host, login.port);
    let mut context = ClientContext::with_data_source(&address);
    login.username().clone_into(&mut context.user_name);
    login.password().clone_into(&mut context.password);
    context.packet_size = link.packet_bytes;
    context.encryption_options.mode = if link.is_encrypted {
        EncryptionSetting::Required
    } else {
        EncryptionSetting::PreferOff
    };
    context.encryption_options.trust_server_certificate = true;
    Ok(TdsConnectionProvider::new()
        .create_client(context, &address, None)
        .await?)
}

struct Discard;

impl TakeBatches<RecordBatch> for Discard {
    async fn take(&mut self, _batch: RecordBatch) -> Answer<()> {
        Ok(())
    }
}

struct Channel(mpsc::Sender<RecordBatch>);

impl TakeBatches<RecordBatch> for Channel {
    async fn take(&mut self, batch: RecordBatch) -> Answer<()> {
        let sent = self.0.send(batch).await;
        Ok(sent.map_err(|error| Error::with_source(ErrorCode::Internal, "the encoder is gone", error))?)
    }
}

/// Takes the bytes of a part, counts them, and forgets them.
#[derive(Default)]
struct Counted {
    piece: Vec<u8>,
    bytes: u64,
}

impl TakeBytes for Counted {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.piece
    }

    fn pass_on(&mut self) -> tidemark::error::Result<()> {
        if self.piece.len() >= PIECE_BYTES {
            self.bytes += self.piece.len() as u64;
            self.piece.clear();
        }
        Ok(())
    }
}

/// Reads and encodes side by side, as `copy-delta` does. Returns the rows and the bytes of the file.
async fn encoded(reader: RowReader, columns: &[Column], format: &Format) -> Result<(u64, u64), Failure> {
    let (sender, mut receiver) = mpsc::channel::<RecordBatch>(1);
    let mut encoder = Files.encoder(columns, &FieldIds::default(), format, Counted::default())?;
    let encoding = tokio::task::spawn_blocking(move || {
        while let Some(batch) = receiver.blocking_recv() {
            encoder.write(&batch)?;
        }
        let Counted { piece, bytes } = encoder.finish()?.bytes;
        tidemark::error::Result::Ok(bytes + piece.len() as u64)
    });
    let mut sink = Channel(sender);
    let rows = read(reader, columns, &mut sink).await?;
    drop(sink);
    Ok((rows, encoding.await??))
}
