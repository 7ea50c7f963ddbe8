//~ the package has the worlds `one`, `other`: write `wharf::wit!("wit", world = "name")`
wharf_sdk::wit!(inline = "package a:b; interface i { f: func(); } world one { export i; } world other {}");
