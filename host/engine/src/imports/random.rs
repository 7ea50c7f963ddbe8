//! `wasi:random`: wasmtime-wasi's, with `limits.random_bytes` in front.

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::p2::bindings::random::{insecure as insecure_0_2, random as random_0_2};
use wasmtime_wasi::p3::bindings::random::{insecure as insecure_0_3, random as random_0_3};
use wasmtime_wasi::random::WasiRandomView;
use wharf_call::LimitKey;

use crate::state::State;

/// Puts ours in the place of those that tell nobody when too much is asked for.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    random_0_2::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut State| state)?;
    insecure_0_2::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut State| state)?;
    random_0_3::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut State| state)?;
    insecure_0_3::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut State| state)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Too much is a trap: in WASI 0.2, a guest that asks for so many bytes gets that many.
impl random_0_2::Host for State {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.enforcer.check(LimitKey::RandomBytes, len)?;
        random_0_2::Host::get_random_bytes(self.random(), len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        random_0_2::Host::get_random_u64(self.random())
    }
}

impl insecure_0_2::Host for State {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.enforcer.check(LimitKey::RandomBytes, len)?;
        insecure_0_2::Host::get_insecure_random_bytes(self.random(), len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        insecure_0_2::Host::get_insecure_random_u64(self.random())
    }
}

/// Too much is cut: in WASI 0.3, a guest gets up to as many bytes as it asks for.
impl random_0_3::Host for State {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        let _ = self.enforcer.check(LimitKey::RandomBytes, len);
        random_0_3::Host::get_random_bytes(self.random(), len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        random_0_3::Host::get_random_u64(self.random())
    }
}

impl insecure_0_3::Host for State {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        let _ = self.enforcer.check(LimitKey::RandomBytes, len);
        insecure_0_3::Host::get_insecure_random_bytes(self.random(), len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        insecure_0_3::Host::get_insecure_random_u64(self.random())
    }
}
