// The product of 2 x 2 bits, of cells that only a library says.
module mapped2(a, b, p);
  input [1:0] a, b;
  output [3:0] p;
  wire n1, n2, n3, n4;
  OWN_AND u1(.X(a[0]), .Y(b[0]), .Z(p[0]));
  OWN_AND u2(.X(a[1]), .Y(b[0]), .Z(n1));
  OWN_AND u3(.X(a[0]), .Y(b[1]), .Z(n2));
  OWN_AND u4(.X(a[1]), .Y(b[1]), .Z(n3));
  OWN_SUM u5(.X(n1), .Y(n2), .S(p[1]), .C(n4));
  OWN_SUM u6(.X(n3), .Y(n4), .S(p[2]), .C(p[3]));
endmodule
