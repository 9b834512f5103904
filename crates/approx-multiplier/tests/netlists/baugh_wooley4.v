// The exact product of two signed numbers of 4 bits after Baugh and Wooley: partial products with one sign bit are
// inverted, and ones are added in columns 4 and 7.
`timescale 1ns/1ps

module full_adder(input x, input y, input z, output sum, output carry);
  wire half;
  xor (half, x, y), (sum, half, z);
  assign carry = x & y | z & half;
endmodule

module mul4s_baugh_wooley(a, b, product);
  input [3:0] a, b;
  output [7:0] product;
  wire [3:0] row0, row1, row2, row3;
  assign row0 = {~(a[3] & b[0]), (a[2] & b[0]), (a[1] & b[0]), (a[0] & b[0])};
  assign row1 = {~(a[3] & b[1]), (a[2] & b[1]), (a[1] & b[1]), (a[0] & b[1])};
  assign row2 = {~(a[3] & b[2]), (a[2] & b[2]), (a[1] & b[2]), (a[0] & b[2])};
  assign row3 = {(a[3] & b[3]), ~(a[2] & b[3]), ~(a[1] & b[3]), ~(a[0] & b[3])};
  wire [4:0] sum0, sum1, sum2, sum3;
  assign sum0 = {1'b1, row0};
  wire [4:0] carry1;
  assign carry1[0] = 1'b0, sum1[4] = carry1[4];
  full_adder add1_0(.x(sum0[1]), .y(row1[0]), .z(carry1[0]), .sum(sum1[0]), .carry(carry1[1]));
  full_adder add1_1(.x(sum0[2]), .y(row1[1]), .z(carry1[1]), .sum(sum1[1]), .carry(carry1[2]));
  full_adder add1_2(.x(sum0[3]), .y(row1[2]), .z(carry1[2]), .sum(sum1[2]), .carry(carry1[3]));
  full_adder add1_3(.x(sum0[4]), .y(row1[3]), .z(carry1[3]), .sum(sum1[3]), .carry(carry1[4]));
  wire [4:0] carry2;
  assign carry2[0] = 1'b0, sum2[4] = carry2[4];
  full_adder add2_0(.x(sum1[1]), .y(row2[0]), .z(carry2[0]), .sum(sum2[0]), .carry(carry2[1]));
  full_adder add2_1(.x(sum1[2]), .y(row2[1]), .z(carry2[1]), .sum(sum2[1]), .carry(carry2[2]));
  full_adder add2_2(.x(sum1[3]), .y(row2[2]), .z(carry2[2]), .sum(sum2[2]), .carry(carry2[3]));
  full_adder add2_3(.x(sum1[4]), .y(row2[3]), .z(carry2[3]), .sum(sum2[3]), .carry(carry2[4]));
  wire [4:0] carry3;
  assign carry3[0] = 1'b0, sum3[4] = carry3[4];
  full_adder add3_0(.x(sum2[1]), .y(row3[0]), .z(carry3[0]), .sum(sum3[0]), .carry(carry3[1]));
  full_adder add3_1(.x(sum2[2]), .y(row3[1]), .z(carry3[1]), .sum(sum3[1]), .carry(carry3[2]));
  full_adder add3_2(.x(sum2[3]), .y(row3[2]), .z(carry3[2]), .sum(sum3[2]), .carry(carry3[3]));
  full_adder add3_3(.x(sum2[4]), .y(row3[3]), .z(carry3[3]), .sum(sum3[3]), .carry(carry3[4]));
  assign product = {~sum3[4], sum3[3:0], sum2[0], sum1[0], sum0[0]};
endmodule
