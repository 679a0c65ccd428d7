"""Fetches JSON Schemas that people use, from the packages that ship them, for tests/sampling/json_schema_generation.rs.

    python3 scripts/fetch_schemas.py schemas
    STENCIL_SCHEMAS=schemas cargo test --release json_schema_generation -- --nocapture

Needs `npm` and `pip`. Of each package at most MOST schemas are taken, evenly from all it has, so that none outweighs the
others; a schema that is there twice is taken once. The versions are pinned, so that everyone fetches the same files.
"""
import hashlib, json, pathlib, re, subprocess, sys, tarfile, tempfile, zipfile

MOST = 24
NPM = """
vega-lite@6.5.0 @octokit/webhooks-schemas@7.6.1 @asyncapi/specs@6.11.1 webpack@5.112.2
@angular/cli@22.2.7 @schematics/angular@22.2.7 @angular-devkit/build-angular@22.2.0 @nx/js@23.3.1 @nx/workspace@23.3.1
@nx/react@23.3.1 @nestjs/schematics@12.0.6 @ionic/angular-toolkit@13.0.0 @storybook/angular@10.6.0
@jsonresume/schema@1.3.1 @rushstack/heft@1.3.0 lerna@10.1.1
turbo@2.11.11 @biomejs/biome@2.6.8 oxlint@1.94.0 knip@6.44.2 wrangler@4.164.0 @cspell/cspell-types@10.4.1
markdownlint@0.42.1 graphql-config@5.1.8 firebase-tools@15.34.2 @changesets/config@4.0.1 release-it@21.1.2
terser-webpack-plugin@5.6.1 css-loader@7.1.5 sass-loader@17.1.0 mini-css-extract-plugin@2.10.2
copy-webpack-plugin@14.0.0 webpack-dev-server@6.1.0 html-minimizer-webpack-plugin@6.0.0 postcss-loader@8.2.1
file-loader@6.2.0 url-loader@4.1.1 less-loader@13.1.0 worker-loader@3.0.8
@nx/angular@23.2.1 @nx/next@23.2.1 @nx/vite@23.2.1 @nx/node@23.2.1 @nx/nest@23.2.1 @nx/eslint@23.2.1 @nx/cypress@23.2.1
@nx/plugin@23.2.1 @nx/expo@23.2.1 @nx/storybook@23.2.1 @nx/vue@23.2.1 nx@24.0.6 @angular/material@22.2.6
@ngrx/schematics@22.0.1 ng-zorro-antd@22.1.1 ng-packagr@21.2.7 @angular-devkit/architect@0.2102.30
@angular-eslint/schematics@22.7.0 @microsoft/api-extractor@7.60.1 @ui5/project@4.0.17 @salesforce/schemas@1.10.3
@cyclonedx/cyclonedx-library@10.3.0
""".split()
PYPI = """
check-jsonschema==0.39.0 cfn-lint==1.58.0 jsonschema-specifications==2025.9.1 nbformat==5.11.1
kubernetes-validate==1.37.0 openapi-spec-validator==0.9.0 validate-pyproject==0.27 cibuildwheel==4.3.5
poetry-core==2.5.0 altair==6.3.0 docker-compose==1.29.2 ansible-lint==26.10.1 cyclonedx-python-lib==11.12.0
frictionless==5.21.0 jupyterlab==4.6.6 great-expectations==1.24.1 ocpp==2.1.0 cffconvert==2.0.0 datapackage==1.15.4
aws-sam-cli==1.170.0 singer-sdk==0.54.9 jupyterlab-lsp==5.3.0 tap-stripe==1.0.0 dbt-core==1.12.6
""".split()


def fetch(command, package, folder):
    done = subprocess.run(command + [package], cwd=folder, capture_output=True, text=True)
    files = [path for path in folder.iterdir() if path.suffix in (".tgz", ".whl", ".gz")]
    if done.returncode or not files:
        print(f"{package}: {(done.stderr.strip().splitlines() or ['nothing came'])[-1]}", file=sys.stderr)
    return files


def members(archive):
    """(path, bytes) of the JSON files of a package."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            yield from ((name, file.read(name)) for name in file.namelist() if name.endswith(".json"))
    else:
        with tarfile.open(archive) as file:
            for member in file:
                if member.isfile() and member.name.endswith(".json"):
                    yield member.name, file.extractfile(member).read()


def is_schema(value):
    if not isinstance(value, dict):
        return False
    if "json-schema.org" in str(value.get("$schema", "")):
        return True
    properties = value.get("properties")
    return value.get("type") == "object" and isinstance(properties, dict) and all(
        isinstance(schema, dict) for schema in properties.values())


def schemas(archive):
    found = {}
    for path, data in members(archive):
        try:
            value = json.loads(data)
        except (ValueError, UnicodeDecodeError):
            continue
        if is_schema(value):
            found[hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()] = (path, data)
    return sorted(found.items(), key=lambda item: item[1][0])


def main(target):
    target.mkdir(parents=True, exist_ok=True)
    seen = set()
    jobs = [(["npm", "pack", "--silent"], package) for package in NPM]
    jobs += [([sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"], package) for package in PYPI]
    for command, package in jobs:
        with tempfile.TemporaryDirectory() as folder:
            archives = fetch(command, package, pathlib.Path(folder))
            found = [item for archive in archives for item in schemas(archive) if item[0] not in seen]
        stride = max(1, -(-len(found) // MOST))
        taken = found[::stride]
        seen.update(digest for digest, _ in taken)
        name = re.sub(r"\W+", "-", re.split(r"(?<=.)@|==", package)[0]).strip("-")
        for _, (path, data) in taken:
            stem = re.sub(r"[^\w.]+", "-", path.removeprefix("package/").removesuffix(".json"))[-90:]
            (target / f"{name}--{stem}.json").write_bytes(data)
        print(f"{package}: {len(taken)} of {len(found)}")
    print(f"{len(list(target.glob('*.json')))} schemas in {target}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
