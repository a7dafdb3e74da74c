#!/usr/bin/env bash
# Trains a convolutional net on Fashion-MNIST, from a bare Debian machine on: installs what is missing (or says what to
# install where it may not), builds samples/ in release mode, trains, evaluates, saves the weights and a picture, and
# classifies one image with a second program. Options go to the training: --epochs N, --seed N, --threads N, --limit N.
# The last line is JSON.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { echo "$*" >&2; }

missing=()
need() { "${@:2}" >/dev/null 2>&1 || missing+=("$1"); }
has() { echo "#include <$1>" | g++ -fsyntax-only -x c++ -; }
need g++ g++ --version
need make make --version
need cmake cmake --version
need nlohmann-json3-dev has nlohmann/json.hpp
need zlib1g-dev has zlib.h
fashion=/usr/share/datasets/fashion-mnist
need dataset-fashion-mnist test -r $fashion/train-images-idx3-ubyte.gz -a -r $fashion/t10k-labels-idx1-ubyte.gz

# Only the data may stay missing: the digits in samples/data take its place.
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing ${missing[*]}"
    install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null; }
    tools=(); for package in "${missing[@]}"; do [ "$package" = dataset-fashion-mnist ] || tools+=("$package"); done
    apt-get update -qq </dev/null >/dev/null || say "apt-get update failed; trying with what is known"
    [ ${#tools[@]} -eq 0 ] || install "${tools[@]}" || { say "could not install ${tools[*]}"; exit 1; }
    [ ${#tools[@]} -eq ${#missing[@]} ] || install dataset-fashion-mnist || say "could not install dataset-fashion-mnist"
  elif [ "${missing[*]}" != dataset-fashion-mnist ]; then
    say "missing: please install ${missing[*]} (Debian: apt-get install ${missing[*]})"
    exit 1
  else
    say "Fashion-MNIST is not installed (Debian: apt-get install dataset-fashion-mnist)"
  fi
fi

data=$fashion
if ! [ -r $fashion/train-images-idx3-ubyte.gz ]; then
  say "training on the handwritten digits in samples/data instead"
  data=samples/data/digits.csv
fi

say "building samples"
build=build-samples
log=$build/build.log
mkdir -p $build
if ! { cmake -S samples -B $build -DCMAKE_BUILD_TYPE=Release &&
       cmake --build $build --target sample_fashion_mnist sample_classify -j 2; } >$log 2>&1; then
  tail -n 40 $log >&2
  say "the build failed; all of its output is in $log"
  exit 1
fi

# Threads that wait in sleep: on a busy machine spinning ones take the processor from those that have work.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
json=$($build/samples/fashion_mnist --data $data --out fashion_mnist.safetensors "$@" | tail -n 1)
$build/samples/classify fashion_mnist.safetensors 0 $data
echo "$json"
