// Primitives of FPGAs by their function: AMD's (Xilinx's) look-up tables, multiplexers and carry chains, with the names,
// parameters and order of ports of the vendor's library. Carry inputs that are left open are 0, as in the device.

module LUT1 #(parameter [1:0] INIT = 0)(output O, input I0); assign O = INIT >> I0; endmodule
module LUT2 #(parameter [3:0] INIT = 0)(output O, input I0, I1); assign O = INIT >> {I1, I0}; endmodule
module LUT3 #(parameter [7:0] INIT = 0)(output O, input I0, I1, I2); assign O = INIT >> {I2, I1, I0}; endmodule
module LUT4 #(parameter [15:0] INIT = 0)(output O, input I0, I1, I2, I3); assign O = INIT >> {I3, I2, I1, I0}; endmodule
module LUT5 #(parameter [31:0] INIT = 0)(output O, input I0, I1, I2, I3, I4); assign O = INIT >> {I4, I3, I2, I1, I0}; endmodule
module LUT6 #(parameter [63:0] INIT = 0)(output O, input I0, I1, I2, I3, I4, I5); assign O = INIT >> {I5, I4, I3, I2, I1, I0}; endmodule
module LUT6_2 #(parameter [63:0] INIT = 0)(output O5, O6, input I0, I1, I2, I3, I4, I5);
  assign O5 = INIT >> {1'b0, I4, I3, I2, I1, I0};
  assign O6 = INIT >> {I5, I4, I3, I2, I1, I0};
endmodule

module MUXF7(output O, input I0, I1, S); assign O = S ? I1 : I0; endmodule
module MUXF8(output O, input I0, I1, S); assign O = S ? I1 : I0; endmodule
module MUXF9(output O, input I0, I1, S); assign O = S ? I1 : I0; endmodule
module MUXCY(output O, input tri0 CI, input DI, S); assign O = S ? CI : DI; endmodule
module XORCY(output O, input tri0 CI, input LI); assign O = LI ^ CI; endmodule

module CARRY4(output [3:0] CO, O, input tri0 CI, CYINIT, input [3:0] DI, S);
  wire [3:0] carry = {CO[2:0], CI | CYINIT};
  assign O = S ^ carry;
  assign CO = S & carry | ~S & DI;
endmodule
module CARRY8 #(parameter CARRY_TYPE = "SINGLE_CY8")(output [7:0] CO, O, input tri0 CI, CI_TOP, input [7:0] DI, S);
  wire [7:0] carry = {CO[6:4], CARRY_TYPE == "DUAL_CY4" ? CI_TOP : CO[3], CO[2:0], CI};
  assign O = S ^ carry;
  assign CO = S & carry | ~S & DI;
endmodule

module GND(output G); assign G = 1'b0; endmodule
module VCC(output P); assign P = 1'b1; endmodule
module IBUF(output O, input I); assign O = I; endmodule
module OBUF(output O, input I); assign O = I; endmodule
