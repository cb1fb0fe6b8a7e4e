set positional-arguments

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
export SAM_CLI_TELEMETRY := "0"

lock := "uv pip compile --quiet --no-header --no-annotate --generate-hashes --python-version 3.11"
# Amazon Linux 2, which python3.11 runs on in Lambda, has glibc 2.26: newer manylinux wheels do not load there.
# boto3 and what it brings come with the runtime.
lambda := "--python-platform x86_64-manylinux2014 --only-binary :all: --no-emit-package boto3 --no-emit-package botocore --no-emit-package jmespath --no-emit-package python-dateutil --no-emit-package s3transfer --no-emit-package six --no-emit-package urllib3"

[private]
default:
	@just --list --unsorted

# Once for each state of these two files: asking uv takes a third as long as grading a picture.
[private]
install:
	@test .venv/installed -nt requirements-dev.txt -a .venv/installed -nt pyproject.toml || {{just_executable()}} install-anew

[private]
install-anew:
	@uv pip install --quiet --require-hashes -r requirements-dev.txt
	@uv pip install --quiet --no-deps -e .
	@touch .venv/installed

# Grade a real photograph and export a film of two, through the whole stack; pictures, .cube and film land in out/
demo: install
	@python -m local demo

# Run the embedded stack until stopped (--port N, --data DIR)
dev *arguments: install
	@python -m local dev "$@"

# Bytecode is kept whatever the environment says: compiling the libraries anew takes longer than a picture.
# Grade files and folders, without any server (just grade photos/ --auto --preset vivid --out graded/)
[no-cd]
grade *arguments: install
	@PYTHONPATH="{{justfile_directory()}}" PYTHONDONTWRITEBYTECODE= python -m local.grade "$@"

# Export a film from a project file, without any server (just export project.json --out film.mp4 --segments 2)
[no-cd]
export *arguments: install
	@PYTHONPATH="{{justfile_directory()}}" PYTHONDONTWRITEBYTECODE= python -m local.export "$@"

# Every test that needs neither Docker nor a browser
test *arguments: install
	@pytest --ignore tests/sam_local --ignore tests/browser --ignore tests/performance "$@"

# The documentation in a headless Chromium, which must be there
test-browser *arguments: install
	@pytest -o testpaths=tests/browser "$@"

# Offloaded jobs while workers and MongoDB are killed: 200 jobs of 20 clients, twice
test-chaos *arguments: install
	@CHAOS_JOBS=200 CHAOS_CLIENTS=20 pytest -s -o faulthandler_timeout=14400 -o testpaths=tests/chaos "$@"

# Ten exports while their containers are killed (--long: a film of 3 minutes at 1080p instead)
test-exports *arguments: install
	@python -m tests.chaos.exports "$@"

# Hostile files and requests, schemathesis, the walk of another user through every route, kills; ends with the counts
attack *arguments: install
	@ATTACK=full CHAOS_JOBS=60 pytest -o faulthandler_timeout=14400 -o testpaths="tests/attack tests/api/test_authorisation.py tests/chaos/test_offload.py" "$@"

# Fuzz what reads strangers' files, each target for so many seconds; findings land in out/
fuzz seconds="300": install
	@python -m tests.fuzz.preset_file {{seconds}}
	@python -m tests.fuzz.codec {{seconds}}
	@python -m tests.fuzz.project {{seconds}}

# Lint, types, templates, state machines
check: install
	@uv pip install --quiet --group states
	ruff check .
	ruff format --check .
	mypy
	cfn-lint template.yaml
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	npm exec --yes --loglevel error --package asl-validator@4.0.0 -- asl-validator $(printf -- '--yaml-path %s ' statemachines/*/definition.asl.yaml)

# Compile the pinned, hashed requirements of every layer, of functions with libraries of their own, the containers and development
lock:
	{{lock}} {{lambda}} --group pyproject.toml:core --output-file layers/core_dependencies/requirements.txt
	{{lock}} {{lambda}} --group pyproject.toml:imaging --constraint layers/core_dependencies/requirements.txt --output-file layers/imaging_dependencies/requirements.txt
	{{lock}} {{lambda}} --group pyproject.toml:passwords --constraint layers/core_dependencies/requirements.txt --output-file functions/auth/register_user/requirements.txt
	{{lock}} {{lambda}} --group pyproject.toml:web --constraint layers/core_dependencies/requirements.txt --output-file functions/web/serve_pages/requirements.txt
	{{lock}} {{lambda}} --no-emit-package annotated-types --no-emit-package pydantic --no-emit-package pydantic-core --no-emit-package typing-extensions --no-emit-package typing-inspection --group pyproject.toml:openai --constraint layers/core_dependencies/requirements.txt --constraint functions/web/serve_pages/requirements.txt --output-file layers/openai_dependencies/requirements.txt
	{{lock}} --python-platform x86_64-manylinux_2_36 --only-binary :all: --group pyproject.toml:container --constraint layers/core_dependencies/requirements.txt --constraint layers/imaging_dependencies/requirements.txt --output-file statemachines/run_task/container/requirements.txt
	{{lock}} --python-platform x86_64-manylinux_2_36 --only-binary :all: --group pyproject.toml:export --constraint statemachines/run_task/container/requirements.txt --output-file statemachines/minimatics_export/container/requirements.txt
	{{lock}} --universal --group pyproject.toml:dev --constraint statemachines/minimatics_export/container/requirements.txt --constraint functions/web/serve_pages/requirements.txt --constraint functions/auth/register_user/requirements.txt --constraint layers/openai_dependencies/requirements.txt --output-file requirements-dev.txt

# Write functions/web/serve_pages/openapi.json anew from the code
openapi: install
	@python -m local.openapi

# Create MongoDB's indexes (MONGODB_URI, or MONGODB_SECRET_ARN with credentials)
indexes: install
	@python -m studio.indexes

# Measure speed, as ratios to named peers in the same run
bench: install
	@python -m tests.performance.bench_tone_mapping
	@python -m tests.performance.bench_cache
	@python -m tests.performance.bench_offload
	@python -m tests.performance.bench_bulk
	@python -m tests.performance.bench_export
	@python -m tests.performance.bench_quotas

# Judge auto next to its peers on good photographs (--held-out: those of the training set not trained on), or --against DIR on pairs
quality *arguments: install
	@python -m training.quality "$@"

# Fit auto's model anew from the photographs that training/collect.py gathers
train photos *arguments: install
	@uv pip install --quiet --group training
	@python -m training.train "$@"

# Build every function and layer as they are deployed
build: install
	sam build

# Deploy an environment of samconfig.toml (just deploy dev KEY=VALUE…; --dry-run prints the steps)
deploy *arguments: install
	@python -m local.deploy "$@"

# Run a function in Lambda's container on one of its events (just invoke auto_correct success)
invoke function case: build lambda-image
	@python -m local.invoke "$@"

# Every function on every event in Lambda's container; takes Docker, or root on Debian
test-sam-local *arguments: build lambda-image
	@pytest -o testpaths=tests/sam_local "$@"

[private]
lambda-image:
	@tests/sam_local/docker_engine.sh
	@tests/sam_local/lambda_image.sh
