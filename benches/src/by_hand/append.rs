//! The floor of everything durable: a file that is only ever appended to, and one `fdatasync` for all
//! who wait. It knows no repeats.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use super::{Log, Record};

pub(crate) struct AppendOnly {
    file: File,
    buffer: Vec<u8>,
}

impl AppendOnly {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::create(path)?,
            buffer: Vec::new(),
        })
    }
}

impl Log for AppendOnly {
    fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        self.buffer.clear();
        for record in records {
            self.buffer.extend_from_slice(&record.id);
            self.buffer.extend_from_slice(&record.body);
        }
        self.file.write_all(&self.buffer)?;
        self.file.sync_data()
    }
}
