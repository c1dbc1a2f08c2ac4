//! `wasi:filesystem`: each function with its uses and its errors, in a folder of its own below the first preopen.
//! Times are compared and never printed.

use std::fmt::Debug;

use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, ErrorCode, NewTimestamp, OpenFlags,
    PathFlags, filesystem_error_code,
};
use wasip2::io::streams::StreamError;

use crate::{Cases, FilesystemPreopens, FilesystemTypes, say};

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const NONE: OpenFlags = OpenFlags::empty();
const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const STAY: PathFlags = PathFlags::empty();

/// Paths that name nothing that can be made, or nothing at all. A slash after what is no folder is not among them:
/// Wasmtime 48.0.0 overlooks it where a file is only described, later ones do not.
const ODD_PATHS: [&str; 12] = [
    "",
    ".",
    "..",
    "../x",
    "/",
    "/x",
    "d/..",
    "d/../..",
    "missing/x",
    "missing/..",
    "f/x",
    "a\0b",
];

fn root() -> Descriptor {
    let mut directories = preopens::get_directories();
    directories.swap_remove(0).0
}

/// The value, or the error's name.
fn told<T: Debug>(answer: Result<T, ErrorCode>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.name().into(),
    }
}

/// All of a file as text, zeros as dots in the middle.
pub(crate) fn text(file: &Descriptor) -> String {
    let (bytes, _) = file.read(10_000, 0).expect("it is open for reading");
    String::from_utf8_lossy(&bytes).replace('\0', "\u{b7}")
}

/// A folder for one case, with a file `f`, a folder `d`, a link `l` to the file, and a link `s` to the folder.
pub(crate) struct Scratch {
    folder: Descriptor,
}

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let root = root();
        root.create_directory_at(name)
            .expect("a folder of this name is not there yet");
        let flags = READ | DescriptorFlags::MUTATE_DIRECTORY;
        let folder = root
            .open_at(STAY, name, OpenFlags::DIRECTORY, flags)
            .expect("it was made");
        Self { folder }
    }

    fn furnished(name: &str) -> Self {
        let scratch = Self::new(name);
        drop(scratch.file("f", b"contents"));
        scratch.folder.create_directory_at("d").expect("made");
        scratch.folder.symlink_at("f", "l").expect("made");
        scratch.folder.symlink_at("d", "s").expect("made");
        scratch
    }

    /// A file that holds `contents`, open for reading and writing.
    pub(crate) fn file(&self, name: &str, contents: &[u8]) -> Descriptor {
        let file = self
            .folder
            .open_at(STAY, name, OpenFlags::CREATE, READ | WRITE)
            .expect("made");
        let mut written = 0;
        while written < contents.len() {
            written += file
                .write(&contents[written..], written as u64)
                .expect("written") as usize;
        }
        file
    }

    fn open(&self, name: &str, flags: DescriptorFlags) -> Descriptor {
        self.folder
            .open_at(STAY, name, NONE, flags)
            .expect("opened")
    }

    /// The names, in order, with what they name.
    fn names(&self) -> Vec<String> {
        names(&self.folder)
    }

    /// What `operation` answers on each odd path.
    fn odd_paths<T: Debug>(&self, operation: impl Fn(&Descriptor, &str) -> Result<T, ErrorCode>) {
        for path in ODD_PATHS {
            say!(format!("{path:?}"), told(operation(&self.folder, path)));
        }
        let long = "x".repeat(256);
        say!("a name of 256 bytes", told(operation(&self.folder, &long)));
        say!(
            "a name of 255 bytes",
            told(operation(&self.folder, &long[1..]).map(|_| "an answer"))
        );
    }

    /// Links that lead round in a circle, out of the tree and to nothing.
    fn odd_links(&self) {
        for (target, name) in [
            ("round", "round"),
            ("..", "up"),
            ("../../..", "out"),
            ("nothing", "dangling"),
        ] {
            self.folder.symlink_at(target, name).expect("made");
        }
    }
}

fn names(folder: &Descriptor) -> Vec<String> {
    let stream = folder.read_directory().expect("a folder");
    let mut names = Vec::new();
    while let Some(entry) = stream.read_directory_entry().expect("an entry") {
        names.push(format!("{} {:?}", entry.name, entry.type_));
    }
    names.sort();
    names
}

/// What can be printed of a description.
fn brief(stat: DescriptorStat) -> String {
    let size = match stat.type_ {
        wasip2::filesystem::types::DescriptorType::Directory => "of its own".into(),
        _ => stat.size.to_string(),
    };
    format!("{:?} of size {size}", stat.type_)
}

fn time(seconds: u64, nanoseconds: u32) -> NewTimestamp {
    NewTimestamp::Timestamp(Datetime {
        seconds,
        nanoseconds,
    })
}

/// Access and modification time.
fn times(stat: Result<DescriptorStat, ErrorCode>) -> String {
    told(stat.map(|stat| {
        [stat.data_access_timestamp, stat.data_modification_timestamp]
            .map(|time| time.map(|time| (time.seconds, time.nanoseconds)))
    }))
}

impl FilesystemPreopens for Cases {
    fn get_directories() {
        let directories = preopens::get_directories();
        say!(
            "paths",
            directories
                .iter()
                .map(|(_, path)| path.as_str())
                .collect::<Vec<_>>()
        );
        say!("flags", told(directories[0].0.get_flags()));
        let again = preopens::get_directories();
        say!(
            "the same folder",
            directories[0].0.is_same_object(&again[0].0)
        );
    }
}

impl FilesystemTypes for Cases {
    fn descriptor_read_via_stream() {
        let scratch = Scratch::furnished("read-via-stream");
        let file = scratch.open("f", READ);
        let stream = file.read_via_stream(3).expect("a stream");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        say!(
            "from the fourth",
            told_stream(stream.blocking_read(100).map(text))
        );
        for offset in [8, 1 << 40] {
            let stream = file.read_via_stream(offset).expect("a stream");
            say!(
                "at or after the end",
                matches!(stream.blocking_read(1), Err(StreamError::Closed))
            );
        }
        let beyond = told_stream(
            file.read_via_stream(u64::MAX)
                .expect("a stream")
                .blocking_read(1),
        );
        say!("beyond all files", beyond);
        say!(
            "a folder",
            told(scratch.folder.read_via_stream(0).map(drop))
        );
        let unreadable = scratch
            .open("f", WRITE)
            .read_via_stream(0)
            .expect("a stream");
        say!(
            "not open for reading",
            told_stream(unreadable.blocking_read(1))
        );
    }

    fn descriptor_write_via_stream() {
        let scratch = Scratch::furnished("write-via-stream");
        let file = scratch.open("f", READ | WRITE);
        let (one, other) = (file.write_via_stream(0), file.write_via_stream(4));
        let (one, other) = (one.expect("a stream"), other.expect("a stream"));
        for (stream, bytes) in [
            (&one, b"AB"),
            (&other, b"CD"),
            (&one, b"ab"),
            (&other, b"cd"),
        ] {
            say!(
                "written",
                told_stream(stream.blocking_write_and_flush(bytes))
            );
        }
        say!("both where they were", text(&file));
        say!(
            "a folder",
            told(scratch.folder.write_via_stream(0).map(drop))
        );
        let unwritable = scratch
            .open("f", READ)
            .write_via_stream(0)
            .expect("a stream");
        say!(
            "not open for writing",
            told_stream(unwritable.blocking_write_and_flush(b"x"))
        );
    }

    fn descriptor_append_via_stream() {
        let scratch = Scratch::furnished("append-via-stream");
        let file = scratch.open("f", READ | WRITE);
        let (one, other) = (file.append_via_stream(), file.append_via_stream());
        let (one, other) = (one.expect("a stream"), other.expect("a stream"));
        for (stream, bytes) in [(&one, b"1"), (&other, b"2"), (&one, b"3")] {
            say!(
                "written",
                told_stream(stream.blocking_write_and_flush(bytes))
            );
        }
        say!("each at the end", text(&file));
        file.set_size(1).expect("cut off");
        say!("written", told_stream(one.blocking_write_and_flush(b"4")));
        say!("after cutting off", text(&file));
        say!(
            "a folder",
            told(scratch.folder.append_via_stream().map(drop))
        );
    }

    fn descriptor_advise() {
        let scratch = Scratch::furnished("advise");
        let file = scratch.open("f", READ);
        for advice in [
            Advice::Normal,
            Advice::Sequential,
            Advice::Random,
            Advice::WillNeed,
            Advice::DontNeed,
            Advice::NoReuse,
        ] {
            say!(format!("{advice:?}"), told(file.advise(0, 4096, advice)));
        }
        say!("all of it", told(file.advise(0, 0, Advice::Normal)));
        say!(
            "after the end",
            told(file.advise(1 << 40, 1, Advice::Normal))
        );
        say!(
            "a folder",
            told(scratch.folder.advise(0, 0, Advice::Normal))
        );
    }

    fn descriptor_sync_data() {
        let scratch = Scratch::furnished("sync-data");
        say!("a file", told(scratch.open("f", READ | WRITE).sync_data()));
        say!("a file to read", told(scratch.open("f", READ).sync_data()));
        say!("a folder", told(scratch.folder.sync_data()));
    }

    fn descriptor_get_flags() {
        let scratch = Scratch::furnished("get-flags");
        for flags in [DescriptorFlags::empty(), READ, WRITE, READ | WRITE] {
            say!(
                format!("{flags:?}"),
                told(scratch.open("f", flags).get_flags())
            );
        }
        let truncating = scratch.folder.open_at(STAY, "f", OpenFlags::TRUNCATE, READ);
        say!(
            "cut off",
            told(truncating.and_then(|file| file.get_flags()))
        );
        let creating = scratch.folder.open_at(STAY, "new", OpenFlags::CREATE, READ);
        say!("created", told(creating.and_then(|file| file.get_flags())));
        let folder = scratch.folder.get_flags().map(|flags| flags & READ);
        say!("a folder, but for its changes", told(folder));
    }

    fn descriptor_get_type() {
        let scratch = Scratch::furnished("get-type");
        say!("a file", told(scratch.open("f", READ).get_type()));
        say!("a folder", told(scratch.folder.get_type()));
        let followed = scratch
            .folder
            .open_at(FOLLOW, "s", NONE, READ)
            .expect("opened");
        say!("through a link", told(followed.get_type()));
    }

    fn descriptor_set_size() {
        let scratch = Scratch::furnished("set-size");
        let file = scratch.open("f", READ | WRITE);
        say!("shorter", told(file.set_size(3)));
        say!("longer", told(file.set_size(6)));
        say!("zeros", text(&file));
        say!("a hole", told(file.set_size(1 << 30)));
        say!("its size", told(file.stat().map(|stat| stat.size)));
        say!("empty", told(file.set_size(0)));
        say!("beyond all files", told(file.set_size(u64::MAX)));
        say!(
            "not open for writing",
            told(scratch.open("f", READ).set_size(0))
        );
        say!("a folder", told(scratch.folder.set_size(0)));
    }

    fn descriptor_set_times() {
        let scratch = Scratch::furnished("set-times");
        let file = scratch.open("f", READ | WRITE);
        say!(
            "both",
            told(file.set_times(time(1_000, 5), time(2_000, 999_999_999)))
        );
        say!("they are", times(file.stat()));
        say!(
            "one",
            told(file.set_times(NewTimestamp::NoChange, time(3_000, 0)))
        );
        say!("they are", times(file.stat()));
        say!(
            "more than a second",
            told(file.set_times(NewTimestamp::NoChange, time(5, 2_500_000_000)))
        );
        say!("they are", times(file.stat()));
        say!(
            "neither",
            told(file.set_times(NewTimestamp::NoChange, NewTimestamp::NoChange))
        );
        say!("they are", times(file.stat()));
        say!(
            "now",
            told(file.set_times(NewTimestamp::Now, NewTimestamp::NoChange))
        );
        let accessed = file.stat().ok().and_then(|stat| stat.data_access_timestamp);
        say!(
            "is after the first",
            accessed.is_some_and(|time| time.seconds > 1_000_000)
        );
        say!(
            "too late",
            told(file.set_times(NewTimestamp::NoChange, time(u64::MAX, 0)))
        );
        say!(
            "open for reading",
            told(scratch.open("f", READ).set_times(time(1, 0), time(1, 0)))
        );
        say!(
            "a folder",
            told(scratch.folder.set_times(time(7, 0), time(8, 0)))
        );
        say!("they are", times(scratch.folder.stat()));
    }

    fn descriptor_read() {
        let scratch = Scratch::furnished("read-at");
        let file = scratch.open("f", READ);
        let read = |len, offset| {
            told(
                file.read(len, offset)
                    .map(|(bytes, end)| (bytes.len(), end)),
            )
        };
        say!("the middle", read(3, 2));
        say!("up to the end", read(4, 4));
        say!("over the end", read(100, 4));
        say!("at the end", read(1, 8));
        say!("after the end", read(1, 1 << 40));
        say!("as much as can be", read(u64::MAX, 0));
        say!("beyond all files", read(1, u64::MAX));
        say!(
            "not open for reading",
            told(scratch.open("f", WRITE).read(1, 0).map(|_| ()))
        );
        say!("a folder", told(scratch.folder.read(1, 0).map(|_| ())));
    }

    fn descriptor_write() {
        let scratch = Scratch::furnished("write-at");
        let file = scratch.open("f", READ | WRITE);
        say!("over the start", told(file.write(b"CON", 0)));
        say!("nothing", told(file.write(b"", 100)));
        say!("after a hole", told(file.write(b"!", 10)));
        say!("the file", text(&file));
        say!("beyond all files", told(file.write(b"x", u64::MAX)));
        say!(
            "not open for writing",
            told(scratch.open("f", READ).write(b"x", 0))
        );
        say!("a folder", told(scratch.folder.write(b"x", 0)));
    }

    fn descriptor_read_directory() {
        let scratch = Scratch::furnished("read-directory");
        say!("names", scratch.names());
        say!("again", scratch.names());
        say!("an empty one", names(&scratch.open("d", READ)));
        say!(
            "a file",
            told(scratch.open("f", READ).read_directory().map(drop))
        );
    }

    fn descriptor_sync() {
        let scratch = Scratch::furnished("sync");
        say!("a file", told(scratch.open("f", READ | WRITE).sync()));
        say!("a file to read", told(scratch.open("f", READ).sync()));
        say!("a folder", told(scratch.folder.sync()));
    }

    fn descriptor_create_directory_at() {
        let scratch = Scratch::furnished("create-directory-at");
        scratch.odd_links();
        scratch.odd_paths(|folder, path| folder.create_directory_at(path));
        for path in [
            "d", "f", "l", "s", "dangling", "new", "new/", "d/new", "s/other", "other/", "d/./n/",
            "l/x", "up/x",
        ] {
            say!(path, told(scratch.folder.create_directory_at(path)));
        }
        say!(
            "on a file",
            told(scratch.open("f", READ).create_directory_at("x"))
        );
    }

    fn descriptor_stat() {
        let scratch = Scratch::furnished("stat");
        say!("a file", told(scratch.open("f", READ).stat().map(brief)));
        say!("a folder", told(scratch.folder.stat().map(brief)));
        let file = scratch.open("f", READ);
        say!("names", told(file.stat().map(|stat| stat.link_count)));
        scratch
            .folder
            .link_at(STAY, "f", &scratch.folder, "g")
            .expect("linked");
        say!(
            "with one more",
            told(file.stat().map(|stat| stat.link_count))
        );
        for name in ["f", "g"] {
            scratch.folder.unlink_file_at(name).expect("removed");
        }
        say!("with none", told(file.stat().map(|stat| stat.link_count)));
    }

    fn descriptor_stat_at() {
        let scratch = Scratch::furnished("stat-at");
        scratch.odd_links();
        scratch.odd_paths(|folder, path| folder.stat_at(STAY, path).map(brief));
        for flags in [STAY, FOLLOW] {
            for path in [
                "f", "d", "d/", "l", "s", "round", "dangling", "up", "out", "d/.", "s/..", "./f",
                "d//../f", "round/x",
            ] {
                say!(
                    format!("{path} {flags:?}"),
                    told(scratch.folder.stat_at(flags, path).map(brief))
                );
            }
        }
        say!(
            "on a file",
            told(scratch.open("f", READ).stat_at(STAY, "x").map(brief))
        );
    }

    fn descriptor_set_times_at() {
        let scratch = Scratch::furnished("set-times-at");
        scratch.odd_links();
        let set = |path, flags| {
            scratch
                .folder
                .set_times_at(flags, path, time(10, 0), time(20, 0))
        };
        for (path, flags) in [
            ("f", STAY),
            ("d", STAY),
            ("l", FOLLOW),
            ("l", STAY),
            ("round", FOLLOW),
            ("round", STAY),
            ("dangling", FOLLOW),
            ("missing", STAY),
            ("", STAY),
            ("..", STAY),
            ("f/", STAY),
        ] {
            say!(format!("{path} {flags:?}"), told(set(path, flags)));
        }
        say!("of a link", times(scratch.folder.stat_at(STAY, "l")));
        say!("of a file", times(scratch.folder.stat_at(STAY, "f")));
        say!(
            "on a file",
            told(
                scratch
                    .open("f", READ)
                    .set_times_at(STAY, "x", time(1, 0), time(1, 0))
            )
        );
    }

    fn descriptor_link_at() {
        let scratch = Scratch::furnished("link-at");
        scratch.odd_links();
        let link =
            |old: &str, new: &str| told(scratch.folder.link_at(STAY, old, &scratch.folder, new));
        say!("a file", link("f", "g"));
        say!(
            "it is",
            told(
                scratch
                    .folder
                    .stat_at(STAY, "g")
                    .map(|stat| stat.link_count)
            )
        );
        say!("into another folder", link("f", "d/g"));
        say!("onto itself", link("f", "f"));
        say!("onto a file", link("f", "g"));
        say!("onto a folder", link("f", "d"));
        say!("a folder", link("d", "e"));
        say!("a folder onto a file", link("d", "f"));
        say!("a link", link("l", "m"));
        say!(
            "what was linked",
            told(scratch.folder.stat_at(STAY, "m").map(brief))
        );
        say!("nothing", link("missing", "x"));
        say!("into nothing", link("f", "missing/x"));
        say!("a slash after a file", link("f/", "x"));
        say!("a slash after the new name", link("f", "x/"));
        say!("from outside", link("../f", "x"));
        say!("to outside", link("f", "../../../x"));
        say!("an empty path", link("", "x"));
        say!("to an empty path", link("f", ""));
        say!(
            "on a file",
            told(
                scratch
                    .folder
                    .link_at(STAY, "f", &scratch.open("f", READ), "x")
            )
        );
    }

    fn descriptor_open_at() {
        let scratch = Scratch::furnished("open-at");
        scratch.odd_links();
        let open = |path: &str, flags, open, mode| {
            told(
                scratch
                    .folder
                    .open_at(flags, path, open, mode)
                    .and_then(|opened| opened.get_type()),
            )
        };
        scratch.odd_paths(|folder, path| {
            folder
                .open_at(STAY, path, NONE, READ)
                .and_then(|opened| opened.get_type())
        });
        for flags in [STAY, FOLLOW] {
            for path in [
                "f", "d", "l", "s", "round", "dangling", "up", "out", "s/", "s/../f", "d/../l",
            ] {
                say!(format!("{path} {flags:?}"), open(path, flags, NONE, READ));
            }
        }
        for path in ["f", "d", "l", "s", "missing", "f/"] {
            say!(
                format!("{path} as a folder"),
                open(path, STAY, OpenFlags::DIRECTORY, READ)
            );
            say!(format!("{path} to write"), open(path, STAY, NONE, WRITE));
        }
        for (name, flags) in [
            (
                "create, directory",
                OpenFlags::CREATE | OpenFlags::DIRECTORY,
            ),
            (
                "exclusive, directory",
                OpenFlags::EXCLUSIVE | OpenFlags::DIRECTORY,
            ),
            (
                "truncate, directory",
                OpenFlags::TRUNCATE | OpenFlags::DIRECTORY,
            ),
            ("exclusive", OpenFlags::EXCLUSIVE),
        ] {
            for path in ["d", "f", "missing"] {
                say!(format!("{path}, {name}"), open(path, STAY, flags, READ));
            }
        }
        let create = OpenFlags::CREATE;
        for path in [
            "new",
            "new2/",
            "d",
            "d/",
            "l",
            "dangling",
            "missing/x",
            "../x",
            ".",
            "",
            "a\0b",
        ] {
            say!(
                format!("{path:?} created"),
                open(path, STAY, create, READ | WRITE)
            );
            say!(
                format!("{path:?} created anew"),
                open(path, STAY, create | OpenFlags::EXCLUSIVE, READ | WRITE)
            );
        }
        say!(
            "created through a link",
            open("dangling", FOLLOW, create, READ | WRITE)
        );
        say!("names", scratch.names());
        say!(
            "a folder cut off",
            open("d", STAY, OpenFlags::TRUNCATE, READ)
        );
        say!("cut off", open("f", STAY, OpenFlags::TRUNCATE, READ));
        say!(
            "its size",
            told(scratch.folder.stat_at(STAY, "f").map(|stat| stat.size))
        );
        say!(
            "on a file",
            told(
                scratch
                    .open("f", READ)
                    .open_at(STAY, "x", NONE, READ)
                    .map(drop)
            )
        );
    }

    fn descriptor_readlink_at() {
        let scratch = Scratch::furnished("readlink-at");
        scratch.odd_links();
        scratch.odd_paths(|folder, path| folder.readlink_at(path));
        for path in [
            "f",
            "d",
            "l",
            "s",
            "up",
            "dangling",
            "s/missing",
            "./l",
            "d/../l",
            "s/",
            "round",
        ] {
            say!(path, told(scratch.folder.readlink_at(path)));
        }
    }

    fn descriptor_remove_directory_at() {
        let scratch = Scratch::furnished("remove-directory-at");
        scratch.odd_links();
        scratch.odd_paths(|folder, path| folder.remove_directory_at(path));
        scratch.folder.create_directory_at("full").expect("made");
        scratch
            .folder
            .create_directory_at("full/inner")
            .expect("made");
        for path in [
            "f",
            "l",
            "s",
            "dangling",
            "full",
            "full/.",
            "full/inner/..",
            "full/inner",
            "full",
            "d",
            "d",
            "up",
        ] {
            say!(path, told(scratch.folder.remove_directory_at(path)));
        }
        say!("names", scratch.names());
    }

    fn descriptor_rename_at() {
        let scratch = Scratch::furnished("rename-at");
        scratch.odd_links();
        let rename = |old: &str, new: &str| {
            say!(
                format!("{old:?} to {new:?}"),
                told(scratch.folder.rename_at(old, &scratch.folder, new))
            );
        };
        for folder in ["empty", "full", "full/inner", "tree", "tree/branch"] {
            scratch.folder.create_directory_at(folder).expect("made");
        }
        drop(scratch.file("g", b"other"));
        scratch
            .folder
            .link_at(STAY, "g", &scratch.folder, "h")
            .expect("linked");
        for (old, new) in [
            ("missing", "x"),
            ("f", "missing/x"),
            ("f", "f"),
            ("d", "d"),
            ("g", "h"),
            ("tree", "tree/branch/x"),
            ("tree", "tree/x"),
            ("tree/branch", "tree"),
            ("f", "d"),
            ("d", "f"),
            ("full", "empty/x"),
            ("tree", "full"),
            ("tree", "empty"),
            ("empty/", "moved/"),
            ("f/", "x"),
            ("f", "x"),
            ("x", "g"),
            ("l", "link"),
            ("s/", "x2"),
            ("dangling", "hanging"),
            (".", "x"),
            ("moved", "."),
            ("..", "x"),
            ("moved", ".."),
            ("moved/..", "x"),
            ("", "x"),
            ("moved", ""),
            ("/g", "x"),
            ("g", "/x"),
            ("../x", "y"),
            ("g", "a\0b"),
            ("g", "moved/../z"),
            ("z", "s/z"),
            ("round", "rounder"),
            ("moved/.", "x3"),
            ("moved", "d/"),
        ] {
            rename(old, new);
        }
        say!("names", scratch.names());
        say!(
            "on a file",
            told(
                scratch.folder.rename_at(
                    "d",
                    &scratch
                        .folder
                        .open_at(STAY, "h", NONE, READ)
                        .expect("opened"),
                    "x"
                )
            )
        );
    }

    fn descriptor_symlink_at() {
        let scratch = Scratch::furnished("symlink-at");
        let link = |old: &str, new: &str| {
            let old_brief = if old.len() > 20 { "a long text" } else { old };
            say!(
                format!("{old_brief:?} as {new:?}"),
                told(scratch.folder.symlink_at(old, new))
            );
        };
        for (old, new) in [
            ("f", "one"),
            ("missing", "two"),
            ("..", "three"),
            ("f", "f"),
            ("f", "d"),
            ("f", "l"),
            ("/f", "four"),
            ("", "five"),
            ("a\0b", "six"),
            ("f", ""),
            ("f", "missing/x"),
            ("f", "../x"),
            ("f", "new/"),
            ("f", "."),
            ("f", "a\0b"),
            ("f", "s/x"),
            ("d/", "seven"),
        ] {
            link(old, new);
        }
        link(&"x".repeat(4096), "long");
        link(&"x".repeat(4000), "long");
        say!("names", scratch.names());
        say!("read", told(scratch.folder.readlink_at("seven")));
    }

    fn descriptor_unlink_file_at() {
        let scratch = Scratch::furnished("unlink-file-at");
        scratch.odd_links();
        let open = scratch.open("f", READ);
        scratch.odd_paths(|folder, path| folder.unlink_file_at(path));
        for path in [
            "d",
            "d/",
            "s/",
            "l",
            "s",
            "f",
            "f",
            "dangling",
            "round",
            "up",
            "missing/x",
        ] {
            say!(path, told(scratch.folder.unlink_file_at(path)));
        }
        say!("names", scratch.names());
        say!("still open", text(&open));
    }

    fn descriptor_is_same_object() {
        let scratch = Scratch::furnished("is-same-object");
        scratch
            .folder
            .link_at(STAY, "f", &scratch.folder, "g")
            .expect("linked");
        drop(scratch.file("other", b"contents"));
        let file = scratch.open("f", READ);
        for name in ["f", "g", "other", "d"] {
            say!(name, file.is_same_object(&scratch.open(name, READ)));
        }
        say!("itself", file.is_same_object(&file));
        scratch
            .folder
            .rename_at("f", &scratch.folder, "moved")
            .expect("moved");
        say!("moved", file.is_same_object(&scratch.open("moved", READ)));
        say!(
            "a folder",
            scratch.folder.is_same_object(&scratch.open(".", READ))
        );
    }

    fn descriptor_metadata_hash() {
        let scratch = Scratch::furnished("metadata-hash");
        let hash = |name| {
            scratch
                .open(name, READ)
                .metadata_hash()
                .map(|hash| (hash.lower, hash.upper))
                .ok()
        };
        drop(scratch.file("other", b"contents"));
        say!("the same", hash("f") == hash("f"));
        say!("of another", hash("f") == hash("other"));
        say!("there is one", hash("d").is_some());
    }

    fn descriptor_metadata_hash_at() {
        let scratch = Scratch::furnished("metadata-hash-at");
        let hash = |path, flags| {
            scratch
                .folder
                .metadata_hash_at(flags, path)
                .map(|hash| (hash.lower, hash.upper))
        };
        let opened = scratch
            .open("f", READ)
            .metadata_hash()
            .map(|hash| (hash.lower, hash.upper));
        say!("as by a descriptor", told(opened) == told(hash("f", STAY)));
        say!(
            "through a link",
            hash("l", FOLLOW).ok() == hash("f", STAY).ok()
        );
        say!("of the link", hash("l", STAY).ok() == hash("f", STAY).ok());
        scratch.odd_paths(|folder, path| folder.metadata_hash_at(STAY, path).map(drop));
        say!(
            "on a file",
            told(
                scratch
                    .open("f", READ)
                    .metadata_hash_at(STAY, "x")
                    .map(drop)
            )
        );
    }

    fn directory_entry_stream_read_directory_entry() {
        let scratch = Scratch::new("read-directory-entry");
        for number in 0..40 {
            drop(scratch.file(&format!("{number:02}"), b""));
        }
        let stream = scratch.folder.read_directory().expect("a stream");
        let mut seen = 0;
        while let Some(entry) = stream.read_directory_entry().expect("an entry") {
            scratch
                .folder
                .unlink_file_at(&entry.name)
                .expect("removed while listed");
            seen += 1;
        }
        say!("seen while they are removed", seen);
        say!(
            "after the end",
            told(stream.read_directory_entry().map(|entry| entry.is_some()))
        );
        say!("left", scratch.names());
        let (one, other) = (
            scratch.folder.read_directory(),
            scratch.folder.read_directory(),
        );
        drop(scratch.file("new", b""));
        drop((one, other));
        say!("by a new stream", scratch.names());
    }

    fn filesystem_error_code() {
        let scratch = Scratch::furnished("filesystem-error-code");
        let file = scratch.open("f", READ | WRITE);
        let beyond = file.write_via_stream(i64::MAX as u64).expect("a stream");
        match beyond.blocking_write_and_flush(b"xx") {
            Err(StreamError::LastOperationFailed(error)) => {
                let code = filesystem_error_code(&error);
                say!("a code", code.map(|code| code.name()).is_some());
                say!("asked again", filesystem_error_code(&error) == code);
            }
            other => say!("unexpected", told_stream(other)),
        }
    }
}

/// What a file's stream answered; a failure with its code.
fn told_stream<T: Debug>(answer: Result<T, StreamError>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(StreamError::Closed) => "closed".into(),
        Err(StreamError::LastOperationFailed(error)) => match filesystem_error_code(&error) {
            Some(code) => format!("failed: {}", code.name()),
            None => "failed".into(),
        },
    }
}
