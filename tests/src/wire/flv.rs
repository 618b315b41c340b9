//! Files of tags (FLV specification, annex E).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{DATA, Tag};

/// Reads a file that nginx or FFmpeg wrote.
pub fn read_flv(file: &Path) -> Result<Vec<Tag>> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let mut rest = bytes
        .strip_prefix(b"FLV\x01")
        .and_then(|rest| rest.get(9..))
        .context("not an FLV file")?;
    let mut tags = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<11>() {
        let [kind, a, b, c, d, e, f, g, ..] = *header;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c]))?;
        let (body, after) = after.split_at_checked(length).context("a tag is cut")?;
        let (size, after) = after.split_first_chunk().context("a tag has no end")?;
        let size = usize::try_from(u32::from_be_bytes(*size))?;
        ensure!(size == length + 11, "a tag's end says {size} bytes");
        tags.push(Tag {
            kind,
            time: u32::from_be_bytes([g, d, e, f]),
            body: body.to_vec(),
        });
        rest = after;
    }
    ensure!(rest.is_empty(), "a tag is cut");
    Ok(tags)
}

/// Writes tags to a file, beginning at 0; what a publisher sends to be set as metadata is written
/// as the metadata itself, as servers record it.
pub fn write_flv(file: &Path, tags: &[Tag]) -> Result<()> {
    let begin = tags.first().map_or(0, |tag| tag.time);
    let mut bytes = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    for tag in tags {
        let mut body = tag.body.as_slice();
        if tag.kind == DATA {
            body = body.strip_prefix(SET_DATA_FRAME).unwrap_or(body);
        }
        let length = u32::try_from(body.len())?;
        let [_, a, b, c] = length.to_be_bytes();
        let [g, d, e, f] = tag.time.wrapping_sub(begin).to_be_bytes();
        bytes.extend([tag.kind, a, b, c, d, e, f, g, 0, 0, 0]);
        bytes.extend_from_slice(body);
        bytes.extend((length + 11).to_be_bytes());
    }
    fs::write(file, bytes).with_context(|| format!("writing {}", file.display()))
}

const SET_DATA_FRAME: &[u8] = b"\x02\0\x0d@setDataFrame";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{VIDEO, string};

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tags.flv");
        let metadata = string("onMetaData");
        let tag = |kind, time, body: &[u8]| Tag {
            kind,
            time,
            body: body.to_vec(),
        };
        let sent = [
            tag(DATA, 5, &[&string("@setDataFrame")[..], &metadata].concat()),
            tag(VIDEO, 5 + 0x0102_0304, b"v"),
        ];
        write_flv(&file, &sent).unwrap();
        let read = [tag(DATA, 0, &metadata), tag(VIDEO, 0x0102_0304, b"v")];
        assert_eq!(read_flv(&file).unwrap(), read);
        fs::write(&file, &fs::read(&file).unwrap()[..40]).unwrap();
        assert!(read_flv(&file).is_err());
    }
}
