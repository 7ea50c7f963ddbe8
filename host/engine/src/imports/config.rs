//! `wasi:config/store@0.2.0-rc.1`: the plugin's `config` table.

use wharf_bindings::config_0_2::wasi::config::store::{Error, Host};

use crate::state::State;

impl Host for State {
    fn get(&mut self, key: String) -> Result<Option<String>, Error> {
        Ok(self.enforcer.plugin.grants.config.as_ref().and_then(|config| config.get(&key)).cloned())
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, Error> {
        let config = self.enforcer.plugin.grants.config.iter().flatten();
        Ok(config.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
