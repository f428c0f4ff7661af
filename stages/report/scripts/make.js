// Elements are made from names, attributes and texts alone: no text ever becomes markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

const percent = (value) => (value * 100).toFixed(2);
const whole = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value * 100).toFixed(2)}`;
const maybe = (value, show) => (value === null || value === undefined ? "–" : show(value));
