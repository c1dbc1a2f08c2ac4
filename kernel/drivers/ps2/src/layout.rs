//! Keyboard layouts by name.

use pc_keyboard::layouts::{
    AnyLayout, Azerty, Colemak, DVP104Key, De105Key, Dvorak104Key, FiSe105Key, Jis109Key, No105Key,
    Uk105Key, Us104Key,
};

/// Which character each key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Layout {
    /// American.
    Us,
    /// British.
    Uk,
    /// German.
    De,
    /// French (AZERTY).
    Fr,
    /// Finnish and Swedish.
    Fi,
    /// Norwegian.
    No,
    /// Japanese keys, Latin characters.
    Jp,
    /// Colemak.
    Colemak,
    /// Dvorak.
    Dvorak,
    /// Dvorak for programmers.
    DvorakProgrammer,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Us,
        Self::Uk,
        Self::De,
        Self::Fr,
        Self::Fi,
        Self::No,
        Self::Jp,
        Self::Colemak,
        Self::Dvorak,
        Self::DvorakProgrammer,
    ];

    /// Its name on the command line and at the prompt.
    pub fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Uk => "uk",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Fi => "fi",
            Self::No => "no",
            Self::Jp => "jp",
            Self::Colemak => "colemak",
            Self::Dvorak => "dvorak",
            Self::DvorakProgrammer => "dvp",
        }
    }

    /// The layout of this name. Sweden's is Finland's.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "se" { "fi" } else { name };
        Self::ALL.into_iter().find(|layout| layout.name() == name)
    }

    pub(crate) fn keys(self) -> AnyLayout {
        match self {
            Self::Us => AnyLayout::Us104Key(Us104Key),
            Self::Uk => AnyLayout::Uk105Key(Uk105Key),
            Self::De => AnyLayout::De105Key(De105Key),
            Self::Fr => AnyLayout::Azerty(Azerty),
            Self::Fi => AnyLayout::FiSe105Key(FiSe105Key),
            Self::No => AnyLayout::No105Key(No105Key),
            Self::Jp => AnyLayout::Jis109Key(Jis109Key),
            Self::Colemak => AnyLayout::Colemak(Colemak),
            Self::Dvorak => AnyLayout::Dvorak104Key(Dvorak104Key),
            Self::DvorakProgrammer => AnyLayout::DVP104Key(DVP104Key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_layouts() {
        for layout in Layout::ALL {
            assert_eq!(Layout::from_name(layout.name()), Some(layout));
        }
        assert_eq!(Layout::from_name("se"), Some(Layout::Fi));
        assert_eq!(Layout::from_name("DE"), None);
        assert_eq!(Layout::from_name(""), None);
    }
}
