wharf_sdk::wit!(inline = "package a:b; interface one { f: func(); } interface other { g: async func() -> bool; }
    interface unserved { h: func(); } world w { export one; export other; }");

struct Both;

impl wharf_sdk::Lifecycle for Both {
    async fn start() -> wharf_sdk::Result<Self> {
        Ok(Both)
    }
}

#[wharf_sdk::service]
impl one::Service for Both {
    fn f(&self) {}
}

#[wharf_sdk::service]
impl other::Service for Both {
    async fn g(&self) -> bool {
        true
    }
}
