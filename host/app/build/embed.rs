use std::path::{Path, PathBuf};

use wharf_engine::embed_wit;

use crate::component;

/// Puts the WIT into the component file, unless it is there: whoever reads the file meanwhile has the old bytes or the
/// new ones. Blocks.
///
/// # Errors
/// What cannot be read or written, or does not fit.
pub(super) fn embed(component: &Path, wit: &Path) -> Result<(), String> {
    let bytes = component::read(component).map_err(|refused| refused.message)?;
    let made = embed_wit(&bytes, wit)?;
    if made == *bytes {
        return Ok(());
    }
    let beside = beside(component);
    let cannot = |error: std::io::Error| format!("{} cannot be written: {error}", beside.display());
    std::fs::write(&beside, made).map_err(cannot)?;
    std::fs::rename(&beside, component).map_err(cannot)
}

/// Where the new bytes are written before they take the component's place.
pub(crate) fn beside(component: &Path) -> PathBuf {
    component.with_extension("wasm.tmp")
}
