// SPDX-License-Identifier: MIT
#include "sinter/io/safetensors.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>

using namespace sinter;

namespace {

struct TempFile {
  TempFile() {
    char name[] = "/tmp/sinter-st-XXXXXX";
    ::close(::mkstemp(name));
    path = name;
  }
  ~TempFile() { std::remove(path.c_str()); }
  void write(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
  std::string read() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string path;
};

std::string file(const std::string& header, const std::string& data = "") {
  std::uint64_t n = header.size();
  return std::string(reinterpret_cast<const char*>(&n), 8) + header + data;
}

template <class T, int R>
Ref<TensorImpl> counting(const Shape<R>& sizes) {
  Ref<TensorImpl> t = TensorImpl::empty(dtype_of<T>(), sizes);
  for (std::int64_t i = 0; i < t->numel(); ++i)
    static_cast<T*>(t->data)[i] = std::is_same_v<T, bool> ? T(float(i % 2)) : T(float(i));
  return t;
}

bool same(const TensorImpl& a, const TensorImpl& b) {
  return a.dtype == b.dtype && a.rank == b.rank && std::equal(a.sizes, a.sizes + a.rank, b.sizes) &&
         std::memcmp(a.data, b.data, std::size_t(a.numel() * size_of(a.dtype))) == 0;
}

StateDict sample() {
  StateDict state;
  state.insert("u8", counting<std::uint8_t>(Shape{3}));
  state.insert("bool", counting<bool>(Shape{2, 2}));
  state.insert("i32", counting<std::int32_t>(Shape{2}));
  state.insert("i64", counting<std::int64_t>(Shape<0>{}));
  state.insert("f16", counting<half>(Shape{1, 3}));
  state.insert("bf16", counting<bfloat16>(Shape{2}));
  state.insert("f32", counting<float>(Shape{1, 2, 1, 1, 1, 1, 1, 2}));
  state.insert("f64", counting<double>(Shape{2}));
  state.insert("empty", counting<float>(Shape{4, 0, 3}));
  return state;
}

// What load says of a file with these bytes.
std::string complaint(const std::string& bytes) {
  TempFile f;
  f.write(bytes);
  try {
    load(f.path);
  } catch (const FormatError& error) {
    const std::string text = error.what();
    REQUIRE(text.rfind(f.path + ": ", 0) == 0);
    return text.substr(f.path.size() + 2);
  }
  return "no complaint";
}
std::string header_complaint(const std::string& header, const std::string& data = "") {
  return complaint(file(header, data));
}
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"x":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

}  // namespace

TEST_CASE("safetensors: every dtype and rank comes back as it was") {
  TempFile f;
  StateDict state = sample();
  state.metadata["note"] = "\"quoted\"\n\xc3\xbc";
  save(state, f.path);
  const StateDict back = load(f.path);
  CHECK(back.size() == state.size());
  for (const auto& [name, tensor] : state) {
    INFO(name);
    CHECK(same(*tensor, *back.at(name)));
    CHECK(reinterpret_cast<std::uintptr_t>(back.at(name)->data) % 64 == 0);
  }
  CHECK(back.metadata == std::map<std::string, std::string>{{"format", "pt"}, {"note", "\"quoted\"\n\xc3\xbc"}});
  std::string order;
  for (const auto& e : back) order += e.first + ' ';
  CHECK(order == "i64 f64 empty f32 i32 bf16 f16 u8 bool ");
  save(StateDict(), f.path);
  CHECK(load(f.path).empty());
}

TEST_CASE("safetensors: the bytes are those of the reference implementation") {
  TempFile f;
  StateDict state;
  state.insert("b", counting<std::uint8_t>(Shape{2}));
  state.insert("a", counting<float>(Shape{1, 2}));
  save(state, f.path);  // safetensors.torch.save({"b": ..., "a": ...}, {"format": "pt"}) writes the same
  CHECK(f.read() == file(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                         R"("b":{"dtype":"U8","shape":[2],"data_offsets":[8,10]}}    )",
                         std::string("\0\0\0\0\0\0\x80\x3f\0\1", 10)));
}

TEST_CASE("safetensors: names and metadata may hold any character") {
  TempFile f;
  std::string all("\0", 1);
  for (char c = 1; c < 127; ++c) all += c;
  all += "\x7f\xc3\xbc\xe2\x82\xac\xf0\x9f\x99\x82";
  StateDict state;
  state.metadata[all] = all;
  state.insert(all, counting<float>(Shape{1}));
  state.insert("", counting<float>(Shape{1}));
  save(state, f.path);
  const StateDict back = load(f.path);
  CHECK(back.contains(all));
  CHECK(back.contains(""));
  CHECK(back.metadata.at(all) == all);
  CHECK_THAT(f.read(), Catch::Contains(R"("\u0000\u0001)") && Catch::Contains(R"(\u0007\b\t\n\u000b\f\r\u000e)"));
  f.write(file(R"({"\ud83d\ude42\/\u20AC":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"));
  CHECK(load(f.path).contains("\xf0\x9f\x99\x82/\xe2\x82\xac"));
}

TEST_CASE("safetensors: strided tensors are written row-major") {
  TempFile f;
  const Ref<TensorImpl> x = counting<std::int32_t>(Shape{2, 3, 4});
  StateDict state;
  const auto view = [&](const char* name, auto layout) {
    state.insert(name, TensorImpl::make(DType::int32, layout, x->storage, x->data));
  };
  view("transposed", Layout<2>{{4, 3}, {1, 4}, 0});
  view("expanded", Layout<2>{{2, 3}, {0, 1}, 5});
  view("sliced", Layout<3>{{2, 2, 2}, {12, 4, 1}, 5});
  view("backwards", Layout<1>{{3}, {-1}, 7});
  view("contiguous", Layout<3>{{2, 1, 12}, {12, 99, 1}, 0});
  view("nothing", Layout<2>{{0, 3}, {7, 7}, 0});
  save(state, f.path);
  const StateDict back = load(f.path);
  const auto values = [&](const char* name) {
    const auto* p = static_cast<const std::int32_t*>(back.at(name)->data);
    return std::vector<int>(p, p + back.at(name)->numel());
  };
  CHECK(values("transposed") == std::vector<int>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
  CHECK(values("expanded") == std::vector<int>{5, 6, 7, 5, 6, 7});
  CHECK(values("sliced") == std::vector<int>{5, 6, 9, 10, 17, 18, 21, 22});
  CHECK(values("backwards") == std::vector<int>{7, 6, 5});
  CHECK(values("contiguous").size() == 24);
  CHECK(values("contiguous")[23] == 23);
  CHECK(values("nothing").empty());
  CHECK(back.at("transposed")->strides[0] == 3);
}

TEST_CASE("safetensors: what can't be saved leaves the old file as it was") {
  TempFile f;
  f.write("old");
  StateDict state;
  state.insert("__metadata__", counting<float>(Shape{1}));
  CHECK_THROWS_WITH(save(state, f.path), Catch::Contains("can't be named __metadata__"));
  StateDict latin1;
  latin1.insert("\xfc", counting<float>(Shape{1}));
  CHECK_THROWS_WITH(save(latin1, f.path), Catch::EndsWith(": \"\"... is not UTF-8 at its byte 0"));
  for (const std::string bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xf8"}) {
    StateDict overlong;
    overlong.metadata["note"] = "fine " + bad;
    CHECK_THROWS_WITH(save(overlong, f.path), Catch::EndsWith("\"fine \"... is not UTF-8 at its byte 5"));
  }
  StateDict elsewhere;
  elsewhere.insert("w", counting<float>(Shape{1}));
  elsewhere.at("w")->storage->device = Device::cuda();
  CHECK_THROWS_WITH(save(elsewhere, f.path), Catch::Contains("cuda:0"));
  CHECK(f.read() == "old");
  CHECK_THROWS_AS(save(StateDict(), "/tmp/no/such/folder/x"), FormatError);
  CHECK_THROWS_AS(load("/tmp/no-such-file"), FormatError);
  CHECK_THROWS_AS(load("/tmp"), FormatError);
}

TEST_CASE("safetensors: what other writers may do is read") {
  TempFile f;
  // any order of names and data, spaces, escapes, no metadata, a length that is no multiple of 8
  f.write(file(R"({ "b" : {"shape": [1], "data_offsets": [2, 3], "dtype": "U8"},
                   "\u00fc": {"dtype":"F16","shape":[],"data_offsets":[0,2]},
                   "n": {"dtype":"I64","shape":[0,9000000000],"data_offsets":[2,2]}})"
               "\n",
               std::string("\0\x3c\7", 3)));
  const StateDict state = load(f.path);
  CHECK(state.begin()->first == "b");
  CHECK(*static_cast<std::uint8_t*>(state.at("b")->data) == 7);
  CHECK(float(*static_cast<half*>(state.at("\xc3\xbc")->data)) == 1);
  CHECK(state.at("n")->sizes[1] == 9000000000);
}

TEST_CASE("safetensors: a file that lies about its length is refused without allocating") {
  CHECK(complaint("") == "too short for a safetensors file: it ends at byte 0 of 8");
  CHECK(complaint("1234567") == "too short for a safetensors file: it ends at byte 7 of 8");
  CHECK(complaint(std::string("\x10\0\0\0\0\0\0\0{}", 10)) ==
        "a header of 16 bytes (byte 0) reaches beyond the file, which ends at byte 10");
  CHECK(complaint(std::string(8, '\xff') + "{}") ==
        "a header of 18446744073709551615 bytes (byte 0) is above the limit of 100000000");
}

TEST_CASE("safetensors: malformed headers are refused with the byte and the reason") {
  using Catch::Contains;
  CHECK(header_complaint("") == "the header is not a JSON object (header, byte 8)");
  CHECK(header_complaint("[]") == "the header is not a JSON object (header, byte 8)");
  CHECK_THAT(header_complaint("{\"a\""), Contains("not valid JSON at byte 12: "));
  CHECK_THAT(header_complaint("{}x"), Contains("not valid JSON at byte 10"));
  CHECK_THAT(header_complaint(std::string("{}\0 ", 4)), Contains("zero byte (header, byte 10)"));
  for (const char* bad :
       {R"({"a":})", R"({,})", R"({"a" 1})", R"({"a":01})", R"({"a":"\x"})", R"({"a":"\u12"})", R"({"\ud800":1})",
        R"({"\ude42":1})", R"({"\ud83dx":1})", "{\"a\n\":1}", R"({"a)", R"({"__metadata__":{},})", R"({"a":nul})",
        R"({"a\)", R"({"a":{"shape":[1,]}})", R"({"a":{"shape":[1 2]}})", R"({"a":{"shape":[)", "{"})
    CHECK(header_complaint(bad) != "no complaint");
  CHECK_THAT(header_complaint("{\"\xff\":1}"), Contains("not valid JSON"));
  CHECK_THAT(header_complaint(R"({"x":)" + std::string(100000, '[')),
             Contains("tensor \"x\": an array where an object"));
  CHECK_THAT(header_complaint(R"({"x":1})"),
             Contains("tensor \"x\": a number where an object should be (header, byte"));
  CHECK_THAT(header_complaint(R"({"x":null})"), Contains("null where an object"));
  CHECK_THAT(header_complaint(R"({"x":true})"), Contains("a truth value where an object"));
  CHECK_THAT(header_complaint(R"({"__metadata__":[]})"), Contains("an array where the metadata's object"));
  CHECK_THAT(header_complaint(R"({"__metadata__":{"k":1}})"),
             Contains("a number where a string for metadata key \"k\""));
  CHECK_THAT(header_complaint(R"({"__metadata__":{"k":{}}})"), Contains("an object where a string"));
  CHECK_THAT(header_complaint(R"({"__metadata__":{"k":"","k":""}})"), Contains("metadata key \"k\" occurs twice"));
  CHECK_THAT(header_complaint(R"({"__metadata__":{},"__metadata__":{}})"), Contains("occurs twice"));

  const std::string x = R"("x":{"dtype":"U8","shape":[],"data_offsets":[0,1]})";
  CHECK_THAT(header_complaint("{" + x + "," + x + "}", "1"), Contains("tensor \"x\": the name occurs twice"));
  CHECK_THAT(header_complaint(R"({"x":{"dtype":"U8","dtype":"U8"}})"), Contains("dtype occurs twice"));
  CHECK_THAT(header_complaint(R"({"x":{"dtype":"U8","shape":[1]}})"), Contains("data_offsets is missing"));
  CHECK_THAT(header_complaint(R"({"x":{}})"), Contains("dtype is missing"));
  CHECK_THAT(header_complaint(R"({"x":{"typo":1}})"), Contains("unknown key \"typo\""));

  CHECK_THAT(header_complaint(entry("\"F8_E4M3\"", "[]", "[0,1]"), "1"),
             Contains("dtype \"F8_E4M3\" is not supported"));
  CHECK_THAT(header_complaint(entry("7", "[]", "[0,1]"), "1"), Contains("a number where a dtype's name"));
  CHECK_THAT(header_complaint(entry("[]", "[]", "[0,1]"), "1"), Contains("an array where a dtype's name"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "1", "[0,1]"), "1"), Contains("a number where a shape"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "\"1\"", "[0,1]"), "1"), Contains("a string where a shape"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[[1]]", "[0,1]"), "1"), Contains("an array where an extent"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[1.5]", "[0,1]"), "1"), Contains("\"1.5\" where an extent"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[-1]", "[0,1]"), "1"), Contains("negative number -1 in shape"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[9223372036854775808]", "[0,1]"), "1"), Contains("too large"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[4294967296,4294967296]", "[0,0]"), ""), Contains("too large"));
  CHECK_THAT(header_complaint(entry("\"F64\"", "[0,4611686018427387904]", "[0,0]"), ""), Contains("too large"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), "1"),
             Contains("more than 8 dimensions"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[]", "[0]"), "1"), Contains("not two numbers"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[]", "[0,1,2]"), "1"), Contains("more than two numbers"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[]", "[-1,0]"), "1"), Contains("negative number -1 in data_offsets"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[]", "[1,0]"), "1"), Contains("data_offsets [1, 0] run backwards"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[]", "[0,1e3]"), "1"), Contains("\"1e3\" where an offset"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[]", "[0,18446744073709551616]"), "1"), Contains("where an offset"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[2]", "[0,2]"), "1"), Contains("reach beyond the 1 bytes of data"));
  CHECK_THAT(header_complaint(entry("\"F32\"", "[2]", "[0,4]"), "1234"),
             Contains("shape [2] of F32 takes 8 bytes, but data_offsets [0, 4] span 4"));
  CHECK_THAT(header_complaint(entry("\"U8\"", "[0]", "[0,1]"), "1"), Contains("takes 0 bytes"));
  CHECK(header_complaint(entry("\"BOOL\"", "[3]", "[0,3]"), std::string("\0\1\2", 3)) ==
        "tensor \"x\": byte 65 is 2, and a bool is 0 or 1");

  const std::string long_name(100000, 'n');  // a message stays readable whatever the file holds
  CHECK(header_complaint("{\"" + long_name + "\":1}").size() < 250);
  CHECK(header_complaint("{\"" + long_name + "\" 1}").size() < 400);
}

TEST_CASE("safetensors: overlaps, gaps and bytes that belong to no tensor are refused") {
  using Catch::Contains;
  const auto two = [](const char* a, const char* b) {
    return std::string(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)") + a +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}";
  };
  const auto at = [&](int data) { return std::to_string(8 + two("[0,2]", "[2,4]").size() + std::size_t(data)); };
  CHECK(header_complaint(two("[0,2]", "[2,4]"), "1234") == "no complaint");
  CHECK(header_complaint(two("[2,4]", "[0,2]"), "1234") == "no complaint");
  CHECK_THAT(header_complaint(two("[0,2]", "[1,3]"), "123"),
             Contains("tensor \"b\": its data overlap another tensor's at byte " + at(1)));
  CHECK_THAT(header_complaint(two("[0,2]", "[0,2]"), "12"), Contains("overlap"));
  CHECK_THAT(header_complaint(two("[0,2]", "[3,5]"), "12345"), Contains("leave a gap at byte " + at(2)));
  CHECK_THAT(header_complaint(two("[1,3]", "[3,5]"), "12345"),
             Contains("tensor \"a\": its data leave a gap at byte " + at(0)));
  CHECK_THAT(header_complaint(two("[0,2]", "[2,4]"), "12345"), Contains("1 bytes at the end, from byte " + at(4)));
  CHECK_THAT(header_complaint("{}", "1"), Contains("belong to no tensor"));
}

TEST_CASE("safetensors: a file cut anywhere is refused") {
  TempFile whole, part;
  save(sample(), whole.path);
  const std::string bytes = whole.read();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    part.write(bytes.substr(0, n));
    CHECK_THROWS_AS(load(part.path), FormatError);
  }
}

TEST_CASE("safetensors: a corrupted byte is refused or changes a value, nothing worse") {
  TempFile whole, bad;
  save(sample(), whole.path);
  const std::string bytes = whole.read();
  std::mt19937 random(1);
  int loaded = 0, refused = 0;
  const auto attempt = [&](const std::string& text) {
    bad.write(text);
    try {
      const StateDict state = load(bad.path);
      for (const auto& [name, t] : state) REQUIRE(t->numel() * size_of(t->dtype) <= std::int64_t(text.size()));
      ++loaded;
    } catch (const FormatError&) {
      ++refused;
    }
  };
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (const int flip : {1, 2, 16, 128, int(random() % 255 + 1)}) {
      std::string text = bytes;
      text[i] = char(text[i] ^ flip);
      attempt(text);
    }
  const char words[] = "{}[]\",:0123456789-.eE \\ntrufalsUFBI_";
  for (int i = 0; i < 3000; ++i) {  // several bytes at once, with what JSON is made of
    std::string text = bytes;
    for (int k = int(random() % 4); k >= 0; --k)
      text[8 + random() % (bytes.size() - 8)] = words[random() % (sizeof words - 1)];
    attempt(text);
  }
  CHECK(loaded > 100);
  CHECK(refused > 1000);
}
