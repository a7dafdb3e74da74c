// SPDX-License-Identifier: MIT
// The caching allocator: blocks come back, counts are right whichever thread frees, and storages lie on cache lines.
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "sinter/core/tensor_impl.hpp"

using namespace sinter;

TEST_CASE("blocks are aligned and as large as was asked for") {
  std::mt19937 random(1);
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  const std::int64_t before = memory_stats().allocated;
  std::int64_t sum = 0;
  for (int i = 0; i < 300; ++i) {
    const std::size_t bytes = i < 4 ? std::size_t(i) : random() % (i % 50 == 0 ? 8 << 20 : i % 3 ? 2000 : 200000);
    auto* p = static_cast<unsigned char*>(Cache::allocate(bytes));
    REQUIRE(reinterpret_cast<std::uintptr_t>(p) % 64 == 0);
    if (bytes > 0) std::memset(p, i & 255, bytes);
    blocks.emplace_back(p, bytes);
    sum += std::int64_t(bytes);
  }
  CHECK(memory_stats().allocated == before + sum);
  CHECK(memory_stats().reserved >= memory_stats().allocated);
  CHECK(memory_stats().peak >= memory_stats().reserved);
  int i = 0;
  bool intact = true;
  for (auto [p, bytes] : blocks) {
    for (std::size_t k = 0; k < bytes; ++k) intact = intact && p[k] == (i & 255);
    ++i;
  }
  CHECK(intact);
  for (auto [p, bytes] : blocks) Cache::free(p, bytes);
  CHECK(memory_stats().allocated == before);
}

TEST_CASE("what is asked for again comes from the cache") {
  if (!cache_enabled) return;
  const auto round = [] {
    std::vector<void*> blocks;
    for (std::size_t bytes = 1; bytes < (1 << 22); bytes = bytes * 3 / 2 + 1) blocks.push_back(Cache::allocate(bytes));
    std::size_t bytes = 1;
    for (void* p : blocks) Cache::free(p, bytes), bytes = bytes * 3 / 2 + 1;
  };
  round();
  const auto before = memory_stats();
  for (int i = 0; i < 5; ++i) round();
  CHECK(memory_stats().system_allocations == before.system_allocations);
  CHECK(memory_stats().reserved == before.reserved);
  empty_cache();
  CHECK(memory_stats().reserved < before.reserved);
  round();
  CHECK(memory_stats().system_allocations > before.system_allocations);
}

TEST_CASE("a thread may free what another has allocated, and end") {
  const std::int64_t before = memory_stats().allocated;
  std::vector<void*> blocks;
  std::thread([&] {
    for (int i = 0; i < 600; ++i) blocks.push_back(Cache::allocate(100));  // more than a thread keeps for itself
  }).join();
  CHECK(memory_stats().allocated == before + 60000);
  std::thread([&] {
    for (int i = 0; i < 300; ++i) Cache::free(blocks[std::size_t(i)], 100);
  }).join();
  CHECK(memory_stats().allocated == before + 30000);
  for (int i = 300; i < 600; ++i) Cache::free(blocks[std::size_t(i)], 100);
  CHECK(memory_stats().allocated == before);
  if (!cache_enabled) return;
  const auto held = memory_stats().system_allocations;
  std::thread([&] {  // what ended threads had is there for others
    for (void*& p : blocks) p = Cache::allocate(100);
    for (void* p : blocks) Cache::free(p, 100);
  }).join();
  CHECK(memory_stats().system_allocations <= held + 300);
}

TEST_CASE("threads count and hand over at once") {
  const std::int64_t before = memory_stats().allocated;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      std::mt19937 random{unsigned(t)};
      std::vector<Ref<Storage>> kept(16);
      for (int i = 0; i < 3000; ++i) kept[random() % 16] = Storage::allocate(random() % 9000);
    });
  for (int i = 0; i < 100; ++i) (void)memory_stats();
  for (auto& t : threads) t.join();
  CHECK(memory_stats().allocated == before);
}

TEST_CASE("few bytes lie in one block with their storage, on a cache line of their own") {
  for (const std::size_t bytes : {0, 1, 64, 4095, 4096, 4097, 100000}) {
    const Ref<Storage> s = Storage::allocate(bytes);
    CHECK(s->bytes == bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(s->data) % 64 == 0);
    CHECK((s->data == s.get() + 1) == (bytes <= Storage::joined_limit));
    if (bytes > 0) std::memset(s->data, 1, bytes);
    CHECK(s->refs == 1);
    CHECK(s->bytes == bytes);
  }
}
