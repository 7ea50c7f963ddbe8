//~ expected ';', found '}'
//~ --> wit!:1:38
wharf_sdk::wit!(inline = "package a:b; interface i { f: func() }");
