# Debian: python3-openpyxl python3-et-xmlfile python3-xlsxwriter
import openpyxl, xlsxwriter, io, zipfile
b = io.BytesIO(); w = xlsxwriter.Workbook(b, {"in_memory": True}); s = w.add_worksheet("S"); s.write(0,0,"hé"); s.write_formula(1,0,"=1+1"); w.close()
wb = openpyxl.load_workbook(b); print(wb.sheetnames, wb["S"]["A1"].value, wb["S"]["A2"].value); wb["S"]["B1"]=3; wb.save("o.xlsx"); print(openpyxl.load_workbook("o.xlsx")["S"]["B1"].value)
