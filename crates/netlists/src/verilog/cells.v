// Standard cells by their function, without the drive strength that ends their names.
//
// What ends with _X are the cells of the NanGate libraries, what ends with X alone those of the OSU libraries and of
// FreePDK45, and what is between $_ and _ those of Yosys. Cells that libraries give different functions to are missing.

module BUF_X(input A, output Z); assign Z = A; endmodule
module CLKBUF_X(input A, output Z); assign Z = A; endmodule
module INV_X(input A, output ZN); assign ZN = ~A; endmodule
module LOGIC0_X(output Z); assign Z = 1'b0; endmodule
module LOGIC1_X(output Z); assign Z = 1'b1; endmodule

module AND2_X(input A1, A2, output ZN); assign ZN = A1 & A2; endmodule
module AND3_X(input A1, A2, A3, output ZN); assign ZN = A1 & A2 & A3; endmodule
module AND4_X(input A1, A2, A3, A4, output ZN); assign ZN = A1 & A2 & A3 & A4; endmodule
module NAND2_X(input A1, A2, output ZN); assign ZN = ~(A1 & A2); endmodule
module NAND3_X(input A1, A2, A3, output ZN); assign ZN = ~(A1 & A2 & A3); endmodule
module NAND4_X(input A1, A2, A3, A4, output ZN); assign ZN = ~(A1 & A2 & A3 & A4); endmodule
module OR2_X(input A1, A2, output ZN); assign ZN = A1 | A2; endmodule
module OR3_X(input A1, A2, A3, output ZN); assign ZN = A1 | A2 | A3; endmodule
module OR4_X(input A1, A2, A3, A4, output ZN); assign ZN = A1 | A2 | A3 | A4; endmodule
module NOR2_X(input A1, A2, output ZN); assign ZN = ~(A1 | A2); endmodule
module NOR3_X(input A1, A2, A3, output ZN); assign ZN = ~(A1 | A2 | A3); endmodule
module NOR4_X(input A1, A2, A3, A4, output ZN); assign ZN = ~(A1 | A2 | A3 | A4); endmodule
module XOR2_X(input A, B, output Z); assign Z = A ^ B; endmodule
module XNOR2_X(input A, B, output ZN); assign ZN = ~(A ^ B); endmodule

module AOI21_X(input A, B1, B2, output ZN); assign ZN = ~(A | B1 & B2); endmodule
module AOI22_X(input A1, A2, B1, B2, output ZN); assign ZN = ~(A1 & A2 | B1 & B2); endmodule
module AOI211_X(input A, B, C1, C2, output ZN); assign ZN = ~(A | B | C1 & C2); endmodule
module AOI221_X(input A, B1, B2, C1, C2, output ZN); assign ZN = ~(A | B1 & B2 | C1 & C2); endmodule
module AOI222_X(input A1, A2, B1, B2, C1, C2, output ZN); assign ZN = ~(A1 & A2 | B1 & B2 | C1 & C2); endmodule
module OAI21_X(input A, B1, B2, output ZN); assign ZN = ~(A & (B1 | B2)); endmodule
module OAI22_X(input A1, A2, B1, B2, output ZN); assign ZN = ~((A1 | A2) & (B1 | B2)); endmodule
module OAI33_X(input A1, A2, A3, B1, B2, B3, output ZN); assign ZN = ~((A1 | A2 | A3) & (B1 | B2 | B3)); endmodule
module OAI211_X(input A, B, C1, C2, output ZN); assign ZN = ~(A & B & (C1 | C2)); endmodule
module OAI221_X(input A, B1, B2, C1, C2, output ZN); assign ZN = ~(A & (B1 | B2) & (C1 | C2)); endmodule
module OAI222_X(input A1, A2, B1, B2, C1, C2, output ZN); assign ZN = ~((A1 | A2) & (B1 | B2) & (C1 | C2)); endmodule
module MUX2_X(input A, B, S, output Z); assign Z = S ? B : A; endmodule
module HA_X(input A, B, output CO, S); assign CO = A & B; assign S = A ^ B; endmodule
module FA_X(input A, B, CI, output CO, S); assign CO = A & B | CI & (A | B); assign S = A ^ B ^ CI; endmodule

module BUFX(input A, output Y); assign Y = A; endmodule
module CLKBUFX(input A, output Y); assign Y = A; endmodule
module INVX(input A, output Y); assign Y = ~A; endmodule
module AND2X(input A, B, output Y); assign Y = A & B; endmodule
module NAND2X(input A, B, output Y); assign Y = ~(A & B); endmodule
module NAND3X(input A, B, C, output Y); assign Y = ~(A & B & C); endmodule
module OR2X(input A, B, output Y); assign Y = A | B; endmodule
module NOR2X(input A, B, output Y); assign Y = ~(A | B); endmodule
module NOR3X(input A, B, C, output Y); assign Y = ~(A | B | C); endmodule
module XOR2X(input A, B, output Y); assign Y = A ^ B; endmodule
module XNOR2X(input A, B, output Y); assign Y = ~(A ^ B); endmodule
module AOI21X(input A, B, C, output Y); assign Y = ~(A & B | C); endmodule
module AOI22X(input A, B, C, D, output Y); assign Y = ~(A & B | C & D); endmodule
module OAI21X(input A, B, C, output Y); assign Y = ~((A | B) & C); endmodule
module OAI22X(input A, B, C, D, output Y); assign Y = ~((A | B) & (C | D)); endmodule
module HAX(input A, B, output YC, YS); assign YC = A & B; assign YS = A ^ B; endmodule
module FAX(input A, B, C, output YC, YS); assign YC = A & B | C & (A | B); assign YS = A ^ B ^ C; endmodule

module \$_BUF_ (input A, output Y); assign Y = A; endmodule
module \$_NOT_ (input A, output Y); assign Y = ~A; endmodule
module \$_AND_ (input A, B, output Y); assign Y = A & B; endmodule
module \$_NAND_ (input A, B, output Y); assign Y = ~(A & B); endmodule
module \$_OR_ (input A, B, output Y); assign Y = A | B; endmodule
module \$_NOR_ (input A, B, output Y); assign Y = ~(A | B); endmodule
module \$_XOR_ (input A, B, output Y); assign Y = A ^ B; endmodule
module \$_XNOR_ (input A, B, output Y); assign Y = ~(A ^ B); endmodule
module \$_ANDNOT_ (input A, B, output Y); assign Y = A & ~B; endmodule
module \$_ORNOT_ (input A, B, output Y); assign Y = A | ~B; endmodule
module \$_MUX_ (input A, B, S, output Y); assign Y = S ? B : A; endmodule
