//! What comes into the machine with the image, and what goes out over the host link.
//!
//! Law: what comes in are bundles, as file trees and as programs ([`image`]); what goes out are frames of
//! `contract/host-link`, sent whole ([`link`]), and a tree as a program left it ([`tree_sender`]). Whose program that is and
//! what it is started with is said by the crates at the top of kernels.

pub mod image;
pub mod link;
pub mod tree_sender;

pub use link::{Link, LinkOutput};
pub use tree_sender::TreeSender;
