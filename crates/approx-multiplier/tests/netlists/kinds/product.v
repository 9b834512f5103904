module product(x, y, z);
  input [1:0] x, y; output [3:0] z;
  wire [1:0] r0, r1;
  wire c;
  partial p0(x, y[0], r0); partial p1(x, y[1], r1);
  buf (z[0], r0[0]);
  half_adder (r0[1], r1[0], z[1], c);
  half_adder (r1[1], c, z[2], z[3]);
endmodule
