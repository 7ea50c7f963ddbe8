//~ the function `all` of a:b/people cannot be served: it has a `stream` of something else than bytes
//~ `next: async func() -> result<option<T>, E>` the plugin streams
wharf_sdk::wit!(inline = "package a:b; interface people {
    record person { name: string }
    all: async func() -> stream<person>;
}");
