//! Containers: files that hold another file, packed. What a file is, its first bytes say, not its name.
//!
//! gzip (all of its members), zstd, bzip2 and xz are unpacked while they are read, in bounded memory.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use liblzma::stream::{CONCATENATED, Stream};

/// How many bytes at the beginning of a file tell what it is.
pub(crate) const BEGINNING: usize = 512;

/// A packed file may hold so many times its own size, after the first [`FREE`] bytes. No list of sales is that uniform.
pub(crate) const MOST_TIMES: u64 = 200;

/// Bytes that may come out of any packed file.
pub(crate) const FREE: u64 = 1 << 20;

/// The memory that unpacking xz may take.
const XZ_MEMORY: u64 = 128 << 20;

/// A kind of packed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// Why a packed file cannot be read: it is damaged, cut, or a trap.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(pub(crate) String);

impl Container {
    /// Tells by its first bytes whether a file is packed.
    pub(crate) fn of(beginning: &[u8]) -> Option<Self> {
        match beginning {
            [0x1F, 0x8B, 8, ..] => Some(Self::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Some(Self::Zstd),
            // Its blocks begin with the digits of pi; without blocks, it ends with those of its root.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, ..] => Some(Self::Bzip2),
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            _ => None,
        }
    }

    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        }
    }

    /// Reads what a packed file holds. Errors of its contents are [`Unreadable`].
    pub(crate) fn open<'i>(self, input: impl Read + Send + 'i) -> io::Result<Box<dyn Read + Send + 'i>> {
        let packed = Arc::new(Packed::default());
        let input = Counted {
            input,
            packed: packed.clone(),
        };
        let input = BufReader::with_capacity(64 << 10, input);
        Ok(match self {
            Self::Gzip => self.watched(flate2::bufread::MultiGzDecoder::new(input), packed),
            Self::Zstd => self.watched(zstd::Decoder::with_buffer(input)?, packed),
            Self::Bzip2 => self.watched(bzip2::bufread::MultiBzDecoder::new(input), packed),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(io::Error::other)?;
                self.watched(liblzma::bufread::XzDecoder::new_stream(input, stream), packed)
            }
        })
    }

    fn watched<'i>(self, decoder: impl Read + Send + 'i, packed: Arc<Packed>) -> Box<dyn Read + Send + 'i> {
        Box::new(Watched {
            container: self,
            decoder,
            packed,
            bytes: 0,
        })
    }
}

/// What is known of the packed bytes.
#[derive(Default)]
struct Packed {
    /// How many were read.
    bytes: AtomicU64,
    /// Whether reading them failed, which says nothing about the file.
    has_failed: AtomicBool,
}

/// Counts packed bytes.
struct Counted<R> {
    input: R,
    packed: Arc<Packed>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer);
        match &read {
            Ok(read) => _ = self.packed.bytes.fetch_add(*read as u64, Ordering::Relaxed),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.packed.has_failed.store(true, Ordering::Relaxed),
        }
        read
    }
}

/// Gives out what a decoder unpacks, as long as that is not too much.
struct Watched<D> {
    container: Container,
    decoder: D,
    packed: Arc<Packed>,
    /// Bytes that were unpacked.
    bytes: u64,
}

impl<D: Read> Read for Watched<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let name = self.container.name();
        let unreadable = |text: String| io::Error::other(Unreadable(text));
        let read = self.decoder.read(buffer).map_err(|error| {
            let is_of_input = self.packed.has_failed.load(Ordering::Relaxed);
            match error.kind() {
                _ if is_of_input => error,
                io::ErrorKind::Interrupted => error,
                io::ErrorKind::UnexpectedEof => unreadable(format!("it is packed with {name}, and was cut")),
                _ => unreadable(format!("it is packed with {name}, and damaged: {error}")),
            }
        })?;
        self.bytes += read as u64;
        let packed = self.packed.bytes.load(Ordering::Relaxed);
        if self.bytes > FREE + MOST_TIMES * packed {
            return Err(unreadable(format!(
                "it is packed with {name}, and holds over {MOST_TIMES} times its own size, as no list of sales does"
            )));
        }
        Ok(read)
    }
}

/// Reads the first bytes of an input, which tell what it is.
pub(crate) fn beginning_of(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut beginning = Vec::with_capacity(BEGINNING);
    input
        .by_ref()
        .take(BEGINNING as u64)
        .read_to_end(&mut beginning)?;
    Ok(beginning)
}

/// Reads what a file holds, unpacked if it is packed. Returns also the name of what it is packed with. [`unreadable`] tells
/// the errors of its contents.
pub fn unpacked<'i>(
    mut input: impl Read + Send + 'i,
) -> io::Result<(Box<dyn Read + Send + 'i>, Option<&'static str>)> {
    let beginning = beginning_of(&mut input)?;
    let container = Container::of(&beginning);
    let whole = Cursor::new(beginning).chain(input);
    Ok(match container {
        Some(container) => (container.open(whole)?, Some(container.name())),
        None => (Box::new(whole), None),
    })
}

/// Refuses what unpacks to more than any list of sales would: so much was unpacked of so many packed bytes. The error is
/// the file's own, and [`convert`](crate::convert) rejects it.
pub fn check_unpacked(unpacked: u64, packed: u64) -> io::Result<()> {
    match unpacked > FREE + MOST_TIMES * packed {
        true => Err(io::Error::other(Unreadable(format!(
            "over {MOST_TIMES} times its own size comes out of it, as of no list of sales"
        )))),
        false => Ok(()),
    }
}

/// Returns why reading a file failed, if the file itself is the cause.
pub fn unreadable(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    inner.downcast_ref::<Unreadable>().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(container: Container, text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        match container {
            Container::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(&mut bytes, flate2::Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Container::Zstd => {
                let mut encoder = zstd::Encoder::new(&mut bytes, 3).unwrap();
                encoder.include_checksum(true).unwrap();
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Container::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(&mut bytes, bzip2::Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Container::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(&mut bytes, 6);
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let container = Container::of(bytes).unwrap();
        let mut text = Vec::new();
        let outcome = container.open(bytes).unwrap().read_to_end(&mut text);
        outcome.map(|_| text).map_err(|error| unreadable(&error).unwrap())
    }

    const ALL: [Container; 4] = [Container::Gzip, Container::Zstd, Container::Bzip2, Container::Xz];

    #[test]
    fn every_member_of_a_packed_file_is_read() {
        for container in ALL {
            let (one, other) = (packed(container, b"1\t2.50\n"), packed(container, b"2\t3.00\n"));
            assert_eq!(Container::of(&one), Some(container));
            assert_eq!(
                read(&[one, other].concat()).unwrap(),
                b"1\t2.50\n2\t3.00\n",
                "{container:?}"
            );
            assert_eq!(read(&packed(container, b"")).unwrap(), b"", "{container:?}");
        }
    }

    #[test]
    fn what_was_cut_or_damaged_is_told() {
        let text: Vec<u8> = (0..40_000_u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        for container in ALL {
            let whole = packed(container, &text);
            let cut = read(&whole[..whole.len() / 2]).unwrap_err();
            assert!(cut.contains(container.name()), "{cut}");
            let mut damaged = whole.clone();
            let middle = whole.len() / 2;
            damaged[middle..middle + 40].fill(0x55);
            assert!(read(&damaged).is_err(), "{container:?}");
        }
    }

    #[test]
    fn a_file_that_holds_far_more_than_its_size_is_refused() {
        for container in [Container::Gzip, Container::Zstd] {
            let trap = packed(container, &vec![b'0'; 4 << 20]);
            assert!(read(&trap).unwrap_err().contains("200 times"), "{container:?}");
        }
    }

    #[test]
    fn a_failure_to_read_is_not_the_fault_of_the_file() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the network is down"))
            }
        }
        let begin = packed(Container::Gzip, b"text");
        let mut reader = Container::Gzip.open(begin[..12].chain(Failing)).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(unreadable(&error), None, "{error}");
    }

    #[test]
    fn text_is_not_packed() {
        for text in [&b"PK\t1"[..], b"", b"BZh9\t1.00", b"GIF\t1"] {
            assert_eq!(Container::of(text), None, "{text:?}");
        }
    }
}
