//~ expected
wharf_sdk::wit!(inline = "package a:b; interface i { f: func() }");
