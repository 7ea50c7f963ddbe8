#!/bin/sh
# Makes the files of GraphiQL that the binary carries, from the packages on npm. Run it here to change a version.
set -eu
cd "$(dirname "$0")"
here=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for package in graphiql@3.8.3 react@18.3.1 react-dom@18.3.1; do
    name=${package%@*}
    mkdir "$name"
    tar xz -C "$name" --strip-components 1 -f "$(npm pack --silent "$package")"
    cp "$name/LICENSE" "$here/LICENSE.$name"
done
npm install --silent --no-save esbuild@0.28.2
npx esbuild graphiql/graphiql.min.js --minify --legal-comments=eof --outfile=graphiql.js
npx esbuild graphiql/graphiql.min.css --minify --outfile=app.css
{
    cat react/umd/react.production.min.js
    echo ';'
    cat react-dom/umd/react-dom.production.min.js
    echo ';'
    cat graphiql.js
    echo ';'
    cat "$here/start.js"
} > app.js
gzip -9 -n -c app.js > "$here/app.js.gz"
gzip -9 -n -c app.css > "$here/app.css.gz"
