//! How far `..` may climb above the base: to the ceiling, by whatever way, and never beside or above it.

use std::sync::Arc;

use lib_tmpfs::{Error, Follow, NodeId, Resolved, Timestamp, Tmpfs, Unlimited};

const NOW: Timestamp = Timestamp {
    seconds: 1,
    nanoseconds: 0,
};

/// `/granted/middle/base`, and a secret beside each of them.
struct World {
    tree: Tmpfs,
    granted: NodeId,
    middle: NodeId,
    base: NodeId,
}

fn world() -> World {
    let mut tree = Tmpfs::new(Arc::new(Unlimited), NOW).unwrap();
    let root = tree.root();
    let granted = tree.create_directory(root, "granted", NOW).unwrap();
    let middle = tree.create_directory(granted, "middle", NOW).unwrap();
    let base = tree.create_directory(middle, "base", NOW).unwrap();
    for parent in [root, granted, middle] {
        tree.create_file(parent, "secret", NOW).unwrap();
    }
    World {
        tree,
        granted,
        middle,
        base,
    }
}

impl World {
    fn resolve(&self, ceiling: Option<NodeId>, path: &str) -> Result<NodeId, Error> {
        let resolved = self
            .tree
            .resolve_below(ceiling, self.base, path, Follow::Last)?;
        match resolved {
            Resolved::Unnamed(node) => Ok(node),
            Resolved::Entry { node, .. } => node.ok_or(Error::NotFound),
        }
    }

    fn secret(&self, parent: NodeId) -> Result<NodeId, Error> {
        self.tree.lookup(parent, "secret")
    }
}

#[test]
fn paths_climb_to_the_ceiling_and_no_further() {
    let world = world();
    let World {
        granted, middle, ..
    } = world;
    let climb = |path| world.resolve(Some(granted), path);
    assert_eq!(climb(".."), Ok(middle));
    assert_eq!(climb("../.."), Ok(granted));
    assert_eq!(climb("../secret"), world.secret(middle));
    assert_eq!(climb("../../secret"), world.secret(granted));
    assert_eq!(climb("../../.."), Err(Error::Escapes));
    assert_eq!(climb("../../../secret"), Err(Error::Escapes));
    assert_eq!(
        climb("../../middle/base/../../../secret"),
        Err(Error::Escapes)
    );
    assert_eq!(
        climb("../../middle/base/../../secret"),
        world.secret(granted)
    );
}

#[test]
fn without_a_ceiling_or_with_the_base_as_one_the_base_is_not_left() {
    let world = world();
    for ceiling in [None, Some(world.base)] {
        assert_eq!(world.resolve(ceiling, "."), Ok(world.base));
        assert_eq!(world.resolve(ceiling, "../base"), Err(Error::Escapes));
        assert_eq!(world.resolve(ceiling, "../secret"), Err(Error::Escapes));
    }
}

#[test]
fn links_climb_no_further_than_the_path_that_leads_through_them() {
    let mut world = world();
    let tree = &mut world.tree;
    for (name, target) in [
        ("up", "../.."),
        ("out", "../../../secret"),
        ("absolute", "/secret"),
    ] {
        tree.create_symlink(world.base, name, target, NOW).unwrap();
    }
    let ceiling = Some(world.granted);
    assert_eq!(world.resolve(ceiling, "up"), Ok(world.granted));
    assert_eq!(world.resolve(ceiling, "up/.."), Err(Error::Escapes));
    assert_eq!(world.resolve(ceiling, "out"), Err(Error::Escapes));
    assert_eq!(world.resolve(ceiling, "absolute"), Err(Error::Escapes));
    assert_eq!(world.resolve(Some(world.middle), "up"), Err(Error::Escapes));
}

#[test]
fn who_was_moved_out_from_below_the_ceiling_cannot_climb() {
    let mut world = world();
    let root = world.tree.root();
    let tree = &mut world.tree;
    tree.create_directory(world.base, "inner", NOW).unwrap();
    tree.rename(world.middle, "base", root, "base", NOW)
        .unwrap();
    let ceiling = Some(world.granted);
    assert_eq!(world.resolve(ceiling, ".."), Err(Error::Escapes));
    assert_eq!(world.resolve(ceiling, "../secret"), Err(Error::Escapes));
    assert_eq!(world.resolve(ceiling, "inner/.."), Ok(world.base));
    assert_eq!(world.resolve(ceiling, "inner/../.."), Err(Error::Escapes));

    // And back below it, elsewhere than before.
    let tree = &mut world.tree;
    tree.rename(root, "base", world.granted, "base", NOW)
        .unwrap();
    assert_eq!(world.resolve(ceiling, ".."), Ok(world.granted));
    assert_eq!(world.resolve(ceiling, "../.."), Err(Error::Escapes));
}
