//! A local folder in place of the bucket, for a whole run on one machine.
//!
//! ```text
//! {folder}/{key}                               an object, as whoever reads the folder sees it
//! {folder}/.tidemark/uploads/{id}/{number}     the pieces of an upload that is begun and not completed
//! {folder}/.tidemark/tokens/{key}              which upload an object came from
//! {folder}/.tidemark/new/                      files that are being written
//! {folder}/.tidemark/lock                      held by whoever replaces an object or completes an upload
//! ```
//!
//! An object appears only when it is complete: it is written to another place, brought to the disk, and then given its
//! name, which fails when the name is taken. So `create` and `complete` are create-only without a lock, and a process
//! that dies leaves nothing that a reader of the folder could take for an object. A folder that several processes use
//! must be on one machine or on a file system with working locks, because the pointer of a table is compared and
//! replaced under a lock.

mod archive;
mod files;
mod store;
mod uploads;

pub use self::store::FolderStore;
