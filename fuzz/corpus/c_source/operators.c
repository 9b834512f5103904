static inline int half(int x, int y) { return (x >> 1) + (y <= 0x2u ? -1 : 3L); }
/* two results would be one too many */
void product(int8_t a, int8_t b, int16_t *o)
{
  int t[2][2] = {1, 2}, i = 010;
  { bool c = a && !b || a != 3; i <<= c & 7; }
  t[1][0] ^= half(a * b, ~i);
  (void)i;
  *o = (int16_t)(t[1][0] | t[0][1]);
}
