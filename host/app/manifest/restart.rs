use super::Manifest;

impl Manifest {
    /// The same manifest with what the command line of `running` sets instead.
    pub(crate) fn overridden_like(mut self, running: &Manifest) -> Result<Manifest, String> {
        self.set(running.overrides.clone())?;
        Ok(self)
    }

    /// Whether `new` says exactly what this one says.
    pub(crate) fn same_as(&self, new: &Manifest) -> bool {
        self.source.text == new.source.text
    }

    /// What `new` has otherwise and a running host cannot change: a sentence for each, naming the key. Empty
    /// when `new` can be applied as it is. What the command line has set cannot change at all.
    pub(crate) fn restart_needed(&self, new: &Manifest) -> Vec<String> {
        let (old_http, new_http) = (&self.http, &new.http);
        let set = &self.overrides;
        let (old_engine, new_engine) = (&self.engine, &new.engine);
        let (old_stored, new_stored) = (&self.key_value.config, &new.key_value.config);
        let changed = [
            ("app.name", self.app.name != new.app.name),
            ("app.data", set.data.is_none() && self.app.data != new.app.data),
            ("listen.http", set.http.is_none() && old_http.listen != new_http.listen),
            ("listen.admin", set.admin.is_none() && self.admin.listen != new.admin.listen),
            ("admin.hosts", self.admin.hosts != new.admin.hosts),
            ("[http]", wharf_gateway::Config { listen: old_http.listen, ..new_http.clone() } != *old_http),
            ("engine.instances", old_engine.instances_max != new_engine.instances_max),
            ("engine.memory", old_engine.memory_bytes_max != new_engine.memory_bytes_max),
            ("engine.component_bytes", old_engine.component_bytes_max != new_engine.component_bytes_max),
            ("engine.stack", old_engine.stack_bytes != new_engine.stack_bytes),
            ("engine.tick", old_engine.tick != new_engine.tick),
            ("engine.compile_time", old_engine.compile_time != new_engine.compile_time),
            ("engine.compile_memory", old_engine.compile_memory_bytes != new_engine.compile_memory_bytes),
            ("engine.core_dump_bytes", old_engine.core_dump_bytes_max != new_engine.core_dump_bytes_max),
            (
                "engine.resident_memory",
                old_engine.residency.memory_bytes != new_engine.residency.memory_bytes,
            ),
            ("engine.resident_table", old_engine.residency.table_bytes != new_engine.residency.table_bytes),
            ("engine.resident_stack", old_engine.residency.stack_bytes != new_engine.residency.stack_bytes),
            ("engine.pagemap_scan", old_engine.residency.pagemap_scan != new_engine.residency.pagemap_scan),
            ("engine.cache", old_engine.cache_dir != new_engine.cache_dir),
            ("memory.total", self.memory_total != new.memory_total),
            ("keyvalue.value_bytes", old_stored.value_bytes_max != new_stored.value_bytes_max),
            ("keyvalue.cache", old_stored.cache_bytes != new_stored.cache_bytes),
            ("log.format", set.log_format.is_none() && self.log.format != new.log.format),
            ("log.level", self.log.level != new.log.level),
            ("log.access", self.log.access != new.log.access),
        ];
        let changed = changed.into_iter().filter(|(_, changed)| *changed);
        changed.map(|(key, _)| format!("a change of {key} needs a restart of the host")).collect()
    }
}
