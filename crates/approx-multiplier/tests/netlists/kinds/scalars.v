// x = n5 n2, y = n1 n8, product = q r s t, the highest bit first in each
module flat(n1, n2, n5, n8, q, r, s, t);
  input n1, n2, n5, n8; output q, r, s, t;
  wire h, k, c, z;
  and (t, n2, n8), (h, n5, n8), (k, n2, n1), (z, n5, n1), (c, h, k), (q, z, c);
  xor (s, h, k), (r, z, c);
endmodule
