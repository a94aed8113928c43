//! What can be done before a picture on the wall.

/// See the module. Each is a caption and what it does.
#[derive(Debug)]
pub struct WallWords {
    /// Away from the wall.
    pub back: (&'static str, &'static str),
    /// The whole picture.
    pub whole: (&'static str, &'static str),
    /// Pixel by pixel.
    pub exact: (&'static str, &'static str),
    /// The picture to the left.
    pub left: (&'static str, &'static str),
    /// The picture to the right.
    pub right: (&'static str, &'static str),
    /// Ends the enlargement.
    pub as_before: (&'static str, &'static str),
    /// Gives it the centre and more room.
    pub enlarge: (&'static str, &'static str),
    /// Hangs it in the centre.
    pub to_centre: (&'static str, &'static str),
    /// Hangs it one place to the left.
    pub move_left: (&'static str, &'static str),
    /// Hangs it one place to the right.
    pub move_right: (&'static str, &'static str),
    /// Lets it keep its place.
    pub pin: (&'static str, &'static str),
    /// No longer.
    pub unpin: (&'static str, &'static str),
}

pub(super) const ENGLISH: WallWords = WallWords {
    back: ("Back", "E or Esc"),
    whole: ("Whole", "0"),
    exact: ("1:1", "1: each pixel of the picture is one of the screen"),
    left: ("Left", "The picture to the left"),
    right: ("Right", "The picture to the right"),
    as_before: ("As before", "Everyone sees the wall as before"),
    enlarge: ("Enlarge", "Give it the centre, for everyone; the others hang smaller"),
    to_centre: ("To the centre", "For everyone; what hangs there comes here"),
    move_left: ("Move left", "For everyone"),
    move_right: ("Move right", "For everyone"),
    pin: ("Pin", "It keeps this place, whoever claims it"),
    unpin: ("Unpin", "It is pinned here; unpinned it goes where its owner put it"),
};

pub(super) const CHINESE: WallWords = WallWords {
    back: ("返回", "E 或 Esc"),
    whole: ("全图", "0"),
    exact: ("1:1", "1：画面的一个像素对应屏幕的一个像素"),
    left: ("左边", "左边的画面"),
    right: ("右边", "右边的画面"),
    as_before: ("恢复", "所有人看到原来的墙面"),
    enlarge: ("放大", "对所有人放在中央，其他画面缩小"),
    to_centre: ("移到中央", "对所有人生效；中央的画面换到这里"),
    move_left: ("左移", "对所有人生效"),
    move_right: ("右移", "对所有人生效"),
    pin: ("固定", "无论谁要占用，它都留在这里"),
    unpin: ("取消固定", "它固定在这里；取消后回到主人放的位置"),
};
