// The exact product of two signed numbers of 4 bits after Baugh and Wooley: partial products with one sign bit are
// inverted, and ones are added in columns 4 and 7.
#include <stdint.h>

static uint8_t sum(uint8_t x, uint8_t y, uint8_t z) { return x ^ y ^ z; }
static uint8_t carry(uint8_t x, uint8_t y, uint8_t z) { return (x & y) | (z & (x | y)); }

uint8_t mul4s_baugh_wooley(uint8_t a, uint8_t b)
{
  uint8_t s[4][5], c[4][5];
  s[0][0] = ((a >> 0) & (b >> 0) & 1);
  s[0][1] = ((a >> 1) & (b >> 0) & 1);
  s[0][2] = ((a >> 2) & (b >> 0) & 1);
  s[0][3] = (((a >> 3) & (b >> 0) & 1) ^ 1);
  s[0][4] = 1;
  c[1][0] = 0;
  s[1][0] = sum(s[0][1], ((a >> 0) & (b >> 1) & 1), c[1][0]);
  c[1][1] = carry(s[0][1], ((a >> 0) & (b >> 1) & 1), c[1][0]);
  s[1][1] = sum(s[0][2], ((a >> 1) & (b >> 1) & 1), c[1][1]);
  c[1][2] = carry(s[0][2], ((a >> 1) & (b >> 1) & 1), c[1][1]);
  s[1][2] = sum(s[0][3], ((a >> 2) & (b >> 1) & 1), c[1][2]);
  c[1][3] = carry(s[0][3], ((a >> 2) & (b >> 1) & 1), c[1][2]);
  s[1][3] = sum(s[0][4], (((a >> 3) & (b >> 1) & 1) ^ 1), c[1][3]);
  c[1][4] = carry(s[0][4], (((a >> 3) & (b >> 1) & 1) ^ 1), c[1][3]);
  s[1][4] = c[1][4];
  c[2][0] = 0;
  s[2][0] = sum(s[1][1], ((a >> 0) & (b >> 2) & 1), c[2][0]);
  c[2][1] = carry(s[1][1], ((a >> 0) & (b >> 2) & 1), c[2][0]);
  s[2][1] = sum(s[1][2], ((a >> 1) & (b >> 2) & 1), c[2][1]);
  c[2][2] = carry(s[1][2], ((a >> 1) & (b >> 2) & 1), c[2][1]);
  s[2][2] = sum(s[1][3], ((a >> 2) & (b >> 2) & 1), c[2][2]);
  c[2][3] = carry(s[1][3], ((a >> 2) & (b >> 2) & 1), c[2][2]);
  s[2][3] = sum(s[1][4], (((a >> 3) & (b >> 2) & 1) ^ 1), c[2][3]);
  c[2][4] = carry(s[1][4], (((a >> 3) & (b >> 2) & 1) ^ 1), c[2][3]);
  s[2][4] = c[2][4];
  c[3][0] = 0;
  s[3][0] = sum(s[2][1], (((a >> 0) & (b >> 3) & 1) ^ 1), c[3][0]);
  c[3][1] = carry(s[2][1], (((a >> 0) & (b >> 3) & 1) ^ 1), c[3][0]);
  s[3][1] = sum(s[2][2], (((a >> 1) & (b >> 3) & 1) ^ 1), c[3][1]);
  c[3][2] = carry(s[2][2], (((a >> 1) & (b >> 3) & 1) ^ 1), c[3][1]);
  s[3][2] = sum(s[2][3], (((a >> 2) & (b >> 3) & 1) ^ 1), c[3][2]);
  c[3][3] = carry(s[2][3], (((a >> 2) & (b >> 3) & 1) ^ 1), c[3][2]);
  s[3][3] = sum(s[2][4], ((a >> 3) & (b >> 3) & 1), c[3][3]);
  c[3][4] = carry(s[2][4], ((a >> 3) & (b >> 3) & 1), c[3][3]);
  s[3][4] = c[3][4];
  uint8_t product = 0;
  product |= s[0][0] << 0;
  product |= s[1][0] << 1;
  product |= s[2][0] << 2;
  product |= s[3][0] << 3;
  product |= s[3][1] << 4;
  product |= s[3][2] << 5;
  product |= s[3][3] << 6;
  product |= (s[3][4] ^ 1) << 7;
  return product;
}
