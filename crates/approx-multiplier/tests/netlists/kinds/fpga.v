// 3 x 2 bits, unsigned: one carry chain adds both rows, whose bits are made by look-up tables with two outputs.
module mul3x2u_chain(input [2:0] a, input [1:0] b, output [4:0] p);
  wire [3:0] propagate, generated, sum, carry;
  LUT2 #(.INIT(4'b1000)) lowest (.I0(a[0]), .I1(b[0]), .O(p[0]));
  // O5 = I0 I1, O6 = I0 I1 ^ I2 I3
  LUT6_2 #(.INIT(64'h7888_7888_8888_8888)) t0 (.I0(a[1]), .I1(b[0]), .I2(a[0]), .I3(b[1]), .I4(1'b0), .I5(1'b1), .O5(generated[0]), .O6(propagate[0]));
  LUT6_2 #(.INIT(64'h7888_7888_8888_8888)) t1 (.I0(a[2]), .I1(b[0]), .I2(a[1]), .I3(b[1]), .I4(1'b0), .I5(1'b1), .O5(generated[1]), .O6(propagate[1]));
  LUT2 #(.INIT(4'b1000)) t2 (.I0(a[2]), .I1(b[1]), .O(propagate[2]));
  assign generated[3:2] = 2'b00, propagate[3] = 1'b0;
  CARRY4 chain (.CI(), .CYINIT(), .DI(generated), .S(propagate), .O(sum), .CO(carry));
  assign p[4:1] = sum;
endmodule
