//! The cameras of a Linux system, read from `/dev` and `/sys` without opening a device: cheap, and it disturbs nobody.

use std::fs;
use std::path::Path;

/// A camera's device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The N of `/dev/videoN`.
    pub number: u32,
    /// The stable name that udev gave it, or `videoN`.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
}

/// All cameras under `root` (`/` but in tests), by number. A device's further nodes (metadata, raw streams) are left out.
pub(super) fn list(root: &Path) -> Vec<Node> {
    let Ok(entries) = fs::read_dir(root.join("dev")) else { return Vec::new() };
    let mut nodes: Vec<Node> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("video")?.parse().ok())
        .filter_map(|number| describe(root, number))
        .collect();
    nodes.sort_by_key(|node| node.number);
    nodes
}

fn describe(root: &Path, number: u32) -> Option<Node> {
    let file = format!("video{number}");
    let about = root.join("sys/class/video4linux").join(&file);
    let read = |name: &str| fs::read_to_string(about.join(name)).ok().map(|text| text.trim().to_owned());
    if read("index").is_some_and(|index| index != "0") {
        return None;
    }
    let id = ["by-id", "by-path"].into_iter().find_map(|kind| link_to(&root.join("dev/v4l").join(kind), &file));
    let name = read("name").filter(|name| !name.is_empty());
    Some(Node { number, id: id.unwrap_or_else(|| file.clone()), name: name.unwrap_or(file) })
}

/// The link in a folder that leads to a device file; the first by name.
fn link_to(folder: &Path, file: &str) -> Option<String> {
    let links = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    links
        .filter(|link| fs::read_link(link.path()).is_ok_and(|to| to.file_name().is_some_and(|name| name == file)))
        .filter_map(|link| link.file_name().into_string().ok())
        .min()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn cameras_have_stable_ids_and_other_nodes_are_left_out() {
        let root = std::env::temp_dir().join(format!("rotunda-nodes-{}", std::process::id()));
        let about = |number: u32, index: &str, name: &str| {
            let folder = root.join(format!("sys/class/video4linux/video{number}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("index"), format!("{index}\n")).unwrap();
            fs::write(folder.join("name"), format!("{name}\n")).unwrap();
        };
        assert_eq!(list(&root), []);
        fs::create_dir_all(root.join("dev/v4l/by-id")).unwrap();
        fs::create_dir_all(root.join("dev/v4l/by-path")).unwrap();
        for name in ["video10", "video2", "video3", "video4", "videos", "video", "audio0"] {
            fs::write(root.join("dev").join(name), "").unwrap();
        }
        about(2, "0", "HD Webcam");
        about(3, "1", "HD Webcam");
        about(4, "0", "");
        symlink("../../video2", root.join("dev/v4l/by-id/usb-Maker_HD_Webcam_123-video-index0")).unwrap();
        symlink("../../video3", root.join("dev/v4l/by-id/usb-Maker_HD_Webcam_123-video-index1")).unwrap();
        symlink("../../video4", root.join("dev/v4l/by-path/pci-0000-usb-0:2:1.0-video-index0")).unwrap();
        let node = |number, id: &str, name: &str| Node { number, id: id.into(), name: name.into() };
        let expected = [
            node(2, "usb-Maker_HD_Webcam_123-video-index0", "HD Webcam"),
            node(4, "pci-0000-usb-0:2:1.0-video-index0", "video4"),
            node(10, "video10", "video10"),
        ];
        let found = list(&root);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, expected);
    }
}
