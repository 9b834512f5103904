`timescale 1ns/1ps
module half_adder(x, y, s, c);
  input x, y; output s, c;
  xor #1 g(s, x, y);
  and (c, x, y);
endmodule
module mul2u_gates(A, B, O);
  input [1:0] A, B;
  output [3:0] O;
  wire n1, n2, n3;
  AND2_X1 U1 (.A1(A[0]), .A2(B[0]), .ZN(O[0]));
  assign n1 = A[1] & B[0], n2 = A[0] & B[1];
  half_adder h1(.c(n3), .s(O[1]), .x(n1), .y(n2)), h2(A[1] & B[1], n3, O[2], O[3]);
endmodule
