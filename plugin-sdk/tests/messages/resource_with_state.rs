//~ the resource `counter` is not one that can be served
wharf_sdk::wit!(inline = "package a:b; interface counters {
    resource counter { add: async func(n: u32) -> result<u32, string>; }
    open: async func() -> counter;
}");
