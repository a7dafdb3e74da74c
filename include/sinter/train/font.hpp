// SPDX-License-Identifier: MIT
// A small proportional typeface for pictures: printable ASCII on a grid 5 wide and 9 high (7 above the baseline, 2 for
// descenders), drawn for this library.
#pragma once

namespace sinter {
namespace font {

inline constexpr int columns = 5, rows = 9, ascent = 7;

// Nine characters for each glyph, one for each row from the top: a digit in base 32 whose bits are pixels, 16 leftmost.
// clang-format off
inline constexpr char glyphs[] =
    "000000000" "444440400" "AAA000000" "AAVAVAA00" "4FKE5U400" "OP248J300" "CIK8LID00" "448000000"  //  !"#$%&'
    "248884200" "842224800" "04LEL4000" "044V44000" "00000C480" "000V00000" "00000CC00" "122488G00"  // ()*+,-./
    "EHHHHHE00" "4C4444E00" "EH1248V00" "EH161HE00" "26AIV2200" "VGU11HE00" "68GUHHE00" "V12488800"  // 01234567
    "EHHEHHE00" "EHHF12C00" "0CC0CC000" "0CC0C4800" "248G84200" "00V0V0000" "842124800" "EH1240400"  // 89:;<=>?
    "EH1DLLE00" "EHHHVHH00" "UHHUHHU00" "EHGGGHE00" "SIHHHIS00" "VGGUGGV00" "VGGUGGG00" "EHGNHHF00"  // @ABCDEFG
    "HHHVHHH00" "E44444E00" "72222IC00" "HIKOKIH00" "GGGGGGV00" "HRLLHHH00" "HHPLJHH00" "EHHHHHE00"  // HIJKLMNO
    "UHHUGGG00" "EHHHLID00" "UHHUKIH00" "FGGE11U00" "V44444400" "HHHHHHE00" "HHHHHA400" "HHHLLLA00"  // PQRSTUVW
    "HHA4AHH00" "HHHA44400" "V1248GV00" "E88888E00" "G88422100" "E22222E00" "4AH000000" "00000000V"  // XYZ[\]^_
    "842000000" "00E1FHF00" "GGMPHHU00" "00EGGHE00" "11DJHHF00" "00EHVGE00" "688S88800" "00FHHHF1E"  // `abcdefg
    "GGMPHHH00" "40C444E00" "2062222IC" "GGIKOKI00" "C44444E00" "00QLLLL00" "00MPHHH00" "00EHHHE00"  // hijklmno
    "00UHHHUGG" "00FHHHF11" "00MPGGG00" "00FGE1U00" "88S888600" "00HHHJD00" "00HHHA400" "00HHLLA00"  // pqrstuvw
    "00HA4AH00" "00HHHHF1E" "00V248V00" "244844200" "444444400" "844244800" "008L20000";             // xyz{|}~
// clang-format on
static_assert(sizeof glyphs == 95 * rows + 1, "one glyph for each printable character");

// What is not printable ASCII looks like a question mark.
constexpr bool lit(char c, int column, int row) {
  if (column < 0 || column >= columns || row < 0 || row >= rows) return false;
  const int index = (c < ' ' || c > '~' ? '?' : c) - ' ';
  const char digit = glyphs[index * rows + row];
  return (((digit <= '9' ? digit - '0' : digit - 'A' + 10) >> (columns - 1 - column)) & 1) != 0;
}

// The columns [first, last) that a glyph covers. Digits keep their full width, so that numbers stay aligned.
struct Extent {
  int first, last;
};
constexpr Extent extent(char c) {
  if (c == ' ') return {0, 3};
  if (c >= '0' && c <= '9') return {0, columns};
  Extent e{columns, 0};
  for (int x = 0; x < columns; ++x)
    for (int y = 0; y < rows; ++y)
      if (lit(c, x, y)) {
        if (x < e.first) e.first = x;
        e.last = x + 1;
      }
  return e;
}

}  // namespace font
}  // namespace sinter
