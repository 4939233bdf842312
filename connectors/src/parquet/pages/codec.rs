//! Compression of pages: one context for all columns of a file, used over and over.

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use parquet::basic::{Compression as Name, ZstdLevel};
use parquet::errors::ParquetError;
use zstd::bulk::Compressor;

use crate::parquet::config::{Compression, ParquetConfig};

/// What Parquet calls the codec of a configuration.
pub fn name(config: &ParquetConfig) -> Name {
    match config.compression {
        Compression::Snappy => Name::SNAPPY,
        Compression::Lz4 => Name::LZ4_RAW,
        Compression::Zstd => Name::ZSTD(ZstdLevel::try_new(config.zstd_level).unwrap_or_default()),
        Compression::None => Name::UNCOMPRESSED,
    }
}

/// See the module.
pub struct Codec {
    name: Name,
    context: Context,
}

enum Context {
    None,
    Snappy(Box<snap::raw::Encoder>),
    Lz4(Box<CompressTable>),
    Zstd(Compressor<'static>),
}

fn failed(codec: &str, error: impl std::fmt::Display) -> ParquetError {
    ParquetError::General(format!("cannot compress a page with {codec}: {error}"))
}

impl Default for Codec {
    fn default() -> Self {
        Self { name: Name::UNCOMPRESSED, context: Context::None }
    }
}

impl Codec {
    /// Of one of the configuration's codecs.
    pub fn new(name: Name) -> Result<Self, ParquetError> {
        let context = match name {
            Name::UNCOMPRESSED => Context::None,
            Name::SNAPPY => Context::Snappy(Box::new(snap::raw::Encoder::new())),
            Name::LZ4_RAW => Context::Lz4(Box::new(CompressTable::large())),
            Name::ZSTD(level) => {
                Context::Zstd(Compressor::new(level.compression_level()).map_err(|error| failed("zstd", error))?)
            }
            other => return Err(ParquetError::NYI(format!("pages compressed with {other}"))),
        };
        Ok(Self { name, context })
    }

    /// What Parquet calls it.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Replaces what is in `out` with `bytes`, compressed.
    pub fn compress(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ParquetError> {
        let room = match &self.context {
            Context::None => {
                out.clear();
                out.extend_from_slice(bytes);
                return Ok(());
            }
            Context::Snappy(_) => snap::raw::max_compress_len(bytes.len()),
            Context::Lz4(_) => get_maximum_output_size(bytes.len()),
            Context::Zstd(_) => zstd::zstd_safe::compress_bound(bytes.len()),
        };
        out.resize(room, 0);
        let written = match &mut self.context {
            Context::None => 0,
            Context::Snappy(encoder) => encoder.compress(bytes, out).map_err(|error| failed("snappy", error))?,
            Context::Lz4(table) => compress_into_with_table(bytes, out, table).map_err(|error| failed("lz4", error))?,
            Context::Zstd(compressor) => {
                compressor.compress_to_buffer(bytes, &mut out[..]).map_err(|error| failed("zstd", error))?
            }
        };
        out.truncate(written);
        Ok(())
    }
}
