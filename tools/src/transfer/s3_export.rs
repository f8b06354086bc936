//! Directories as DynamoDB's export to S3 leaves them in a bucket.
//!
//! ```text
//! AWSDynamoDB/EXPORT/manifest-summary.json   one object: what was exported, and how many items; where the next one is
//! AWSDynamoDB/EXPORT/manifest-files.json     one object a line: a data file, its items, its MD5 in base64
//! AWSDynamoDB/EXPORT/manifest-*.md5          the MD5 of each of these two, in base64
//! AWSDynamoDB/EXPORT/data/NAME.json.gz       {"Item": {...}} a line, in DynamoDB JSON, compressed
//! ```
//!
//! Source: "DynamoDB table export output format", Amazon DynamoDB Developer Guide, which calls the third kind `.checksum`; both are read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::transfer::error::{Result, TransferError};

/// The directory that everything is below.
const ROOT: &str = "AWSDynamoDB";

/// The version of the form.
const VERSION: &str = "2020-06-30";

/// A data file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataFile {
    pub(crate) path: PathBuf,
    pub(crate) item_count: u64,
    /// In base64.
    pub(crate) md5: String,
}

/// What an export says of itself.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) item_count: u64,
    pub(crate) files: Vec<DataFile>,
}

/// Reads the manifests of an export. `path` is its directory, or one that holds no other export.
pub(crate) fn read(path: &Path) -> Result<Manifest> {
    let directory = find(path)?;
    let summary = checked(&directory, "manifest-summary")?;
    let wrong = |reason: &str| TransferError::Input {
        place: directory.join("manifest-summary.json").display().to_string(),
        reason: reason.to_owned(),
    };
    let summary: Value = serde_json::from_str(&summary).map_err(|error| wrong(&error.to_string()))?;
    match (summary["outputFormat"].as_str(), summary["exportType"].as_str()) {
        (Some("DYNAMODB_JSON") | None, Some("FULL_EXPORT") | None) => {}
        (Some("ION"), _) => return Err(wrong("the export is in Ion; only DynamoDB JSON can be read")),
        _ => return Err(wrong("this is no full export in DynamoDB JSON")),
    }
    let item_count = summary["itemCount"].as_u64().ok_or_else(|| wrong("there is no itemCount"))?;
    let files = checked(&directory, "manifest-files")?;
    let files: Result<Vec<DataFile>> = files
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| data_file(&directory, line))
        .collect();
    Ok(Manifest { item_count, files: files? })
}

fn data_file(directory: &Path, line: &str) -> Result<DataFile> {
    let wrong = |reason: String| TransferError::Input {
        place: directory.join("manifest-files.json").display().to_string(),
        reason,
    };
    let file: Value = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
    let field = |name: &str| file[name].as_str().ok_or_else(|| wrong(format!("a file has no {name}")));
    // Keys are paths in a bucket; what counts is the name, since the directory may have been moved.
    let name = field("dataFileS3Key")?.rsplit('/').next().unwrap_or_default().to_owned();
    let item_count = file["itemCount"].as_u64().ok_or_else(|| wrong("a file has no itemCount".to_owned()))?;
    Ok(DataFile {
        path: directory.join("data").join(name),
        item_count,
        md5: field("md5Checksum")?.to_owned(),
    })
}

/// The directory with the manifests.
fn find(path: &Path) -> Result<PathBuf> {
    let has_manifest = |directory: &Path| directory.join("manifest-summary.json").is_file();
    if has_manifest(path) {
        return Ok(path.to_owned());
    }
    let mut found = Vec::new();
    for directory in [path.to_owned(), path.join(ROOT)] {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries {
            let entry = entry.map_err(TransferError::io("reading", &directory))?.path();
            found.extend(has_manifest(&entry).then_some(entry));
        }
    }
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => Err(TransferError::Refused(format!(
            "{} holds no export of DynamoDB's: there is no manifest-summary.json",
            path.display()
        ))),
        _ => Err(TransferError::Refused(format!(
            "{} holds {} exports; name one of them",
            path.display(),
            found.len()
        ))),
    }
}

/// A manifest, compared with its MD5 if that is beside it.
fn checked(directory: &Path, name: &str) -> Result<String> {
    let path = directory.join(format!("{name}.json"));
    let text = fs::read_to_string(&path).map_err(TransferError::io("reading", &path))?;
    for extension in ["md5", "checksum"] {
        let Ok(expected) = fs::read_to_string(directory.join(format!("{name}.{extension}"))) else {
            continue;
        };
        if expected.trim() != STANDARD.encode(Md5::digest(&text)) {
            let reason = format!("its MD5 is not the one in {name}.{extension}");
            return Err(TransferError::Input { place: path.display().to_string(), reason });
        }
    }
    Ok(text)
}

/// The MD5 of a file, in base64.
pub(crate) fn md5_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(TransferError::io("opening", path))?;
    Ok(STANDARD.encode(hashed(&mut file).map_err(TransferError::io("reading", path))?.finalize()))
}

/// The state of an MD5 behind a file.
pub(crate) fn hashed(file: &mut File) -> io::Result<Md5> {
    let mut md5 = Md5::new();
    let mut bytes = vec![0; 256 << 10];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(md5),
            len => md5.update(&bytes[..len]),
        }
    }
}

/// The directory of an export that is about to be written, named after the time in milliseconds and the database.
pub(crate) fn create(output: &Path, time_ms: u64, database_id: &str) -> Result<PathBuf> {
    let directory =
        output.join(ROOT).join(format!("{time_ms:014}-{}", &database_id[..8.min(database_id.len())]));
    let data = directory.join("data");
    fs::create_dir_all(&data).map_err(TransferError::io("creating", &data))?;
    let started = directory.join("_started");
    File::create(&started).map_err(TransferError::io("creating", &started))?;
    Ok(directory)
}

/// What is said of an export in its manifests.
pub(crate) struct Described<'d> {
    pub(crate) table: &'d str,
    pub(crate) start: String,
    pub(crate) end: String,
    pub(crate) item_count: u64,
    pub(crate) bytes: u64,
    pub(crate) files: &'d [DataFile],
}

/// Writes the manifests: the export is complete when the summary is there.
pub(crate) fn write_manifests(directory: &Path, described: &Described<'_>) -> Result<()> {
    let Described { table, start, end, item_count, bytes, files } = described;
    let export = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let key = |name: &str| format!("{ROOT}/{export}/{name}");
    let lines: String = files
        .iter()
        .map(|file| {
            let name = file.path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            let md5 = STANDARD.decode(&file.md5).unwrap_or_default();
            let etag: String = md5.iter().map(|byte| format!("{byte:02x}")).collect();
            let line = json!({
                "itemCount": file.item_count,
                "md5Checksum": file.md5,
                "etag": format!("{etag}-1"),
                "dataFileS3Key": key(&format!("data/{name}")),
            });
            format!("{line}\n")
        })
        .collect();
    let arn = format!("arn:aws:dynamodb:ddblocal:000000000000:table/{table}");
    let summary = json!({
        "version": VERSION,
        "exportArn": format!("{arn}/export/{export}"),
        "startTime": start,
        "endTime": end,
        "tableArn": arn,
        "tableId": null,
        "exportTime": start,
        "s3Bucket": null,
        "s3Prefix": null,
        "s3SseAlgorithm": null,
        "s3SseKmsKeyId": null,
        "manifestFilesS3Key": key("manifest-files.json"),
        "billedSizeBytes": bytes,
        "itemCount": item_count,
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    });
    for (name, text) in [("manifest-files", lines), ("manifest-summary", format!("{summary}\n"))] {
        let md5 = STANDARD.encode(Md5::digest(&text));
        for (extension, text) in [("md5", md5), ("json", text)] {
            let path = directory.join(format!("{name}.{extension}"));
            fs::write(&path, text).map_err(TransferError::io("writing", &path))?;
        }
    }
    Ok(())
}
