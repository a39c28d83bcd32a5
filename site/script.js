// What the pages can do with scripts on: copy, search, light and dark.
'use strict'
{
  const me = document.currentScript
  const base = me.src.replace(/script\.js.*/, '')
  const root = document.documentElement
  const stored = (value) => { // in a private window there may be no storage
    try { return value ? localStorage.setItem('theme', value) : localStorage.getItem('theme') } catch { return null }
  }
  root.style.colorScheme = stored() || ''

  const load = new Map() // of a language, its part of the index
  globalThis.searchIndex = (lang, rows) => load.get(lang).resolve(rows.map(([to, title, heading, text]) =>
    ({ to, title, heading, text, all: [title, heading, text].map((s) => s.toLowerCase()) })))
  const indexOf = (lang) => {
    if (!load.has(lang)) {
      const wait = Promise.withResolvers()
      load.set(lang, wait)
      document.head.append(Object.assign(document.createElement('script'), { src: `${base}search.${lang}.js` }))
    }
    return load.get(lang).promise
  }

  // rank is how well a part of a page answers, 0 if it lacks a term.
  const weights = [30, 10, 1]
  const rank = ({ all, heading }, terms, need) => {
    let score = 0
    let found = 0
    for (const term of terms) {
      const here = all.map((text, i) => Math.min(text.split(term).length - 1, 4) * weights[i])
      const sum = here.reduce((a, b) => a + b)
      if (sum) found++
      score += sum + (here[0] && !heading ? 5 : 0) // what is in its title, a page says at the top
    }
    return found >= need ? found * 1000 + score : 0
  }
  const best = (rows, terms, need) => { // of each page the part that answers best
    const pages = new Set()
    return rows.map((row) => ({ row, page: row.to.replace(/#.*/, ''), score: rank(row, terms, need) }))
      .filter((r) => r.score).sort((a, b) => b.score - a.score || b.page.split('/').length - a.page.split('/').length)
      .filter(({ page }) => !pages.has(page) && pages.add(page)).slice(0, 12).map((r) => r.row)
  }
  const find = (rows, query) => {
    const terms = query.toLowerCase().split(/\s+/).filter(Boolean)
    const exact = best(rows, terms, terms.length)
    if (exact.length) return { terms, hits: exact }
    // Chinese has no blanks between words: any two characters that stand together.
    const pairs = terms.flatMap((t) => /^[\u2e80-\uffff]{3,}$/.test(t) ? [...t].slice(1).map((c, i) => t[i] + c) : [t])
    return { terms: pairs, hits: best(rows, pairs, Math.ceil(pairs.length / 2)) }
  }

  const make = (tag, content, more) => {
    const e = Object.assign(document.createElement(tag), more)
    e.append(...[content].flat())
    return e
  }
  const marked = (text, terms) => { // what stands around the first term
    const at = Math.max(0, Math.min(...terms.map((t) => text.toLowerCase().indexOf(t)).filter((i) => i >= 0)))
    const near = Number.isFinite(at) ? Math.max(0, at - 40) : 0
    const from = near && near + Math.max(0, text.slice(near - 1, Math.min(at, near + 20)).search(/\s/)) // not within a word
    const part = (from ? '…' : '') + text.slice(from, from + 150).trim() + (text.length > from + 150 ? '…' : '')
    const any = new RegExp(`(${terms.map((t) => t.replace(/[^\w\u2e80-\uffff]/g, '\\$&')).join('|')})`, 'gi')
    return part.split(any).map((s, i) => i % 2 ? make('mark', s) : s)
  }

  addEventListener('DOMContentLoaded', () => {
    const $ = (selector) => document.querySelector(selector)

    for (const button of navigator.clipboard ? document.querySelectorAll('.copy') : []) {
      const word = button.textContent
      button.hidden = false
      button.addEventListener('click', async () => {
        await navigator.clipboard.writeText(button.closest('figure').querySelector('code').textContent)
        button.textContent = me.dataset.copied
        setTimeout(() => { button.textContent = word }, 2000)
      })
    }

    const theme = $('.theme')
    theme.hidden = false
    theme.addEventListener('click', () => {
      const dark = (root.style.colorScheme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark'
      root.style.colorScheme = dark ? 'light' : 'dark'
      stored(root.style.colorScheme)
    })

    // A program that is folded opens where a link leads into it.
    const open = () => {
      const to = document.getElementById(decodeURIComponent(location.hash.slice(1)))
      const folded = to && to.closest('details')
      if (folded && !folded.open) {
        folded.open = true
        to.scrollIntoView()
      }
    }
    addEventListener('hashchange', open)
    open()

    const menu = $('.menu')
    const form = $('form[role=search]')
    const input = form.querySelector('input')
    const results = form.querySelector('.results')
    const close = () => { menu.open = false; results.hidden = true }
    addEventListener('click', (e) => { if (!menu.contains(e.target) && !form.contains(e.target)) close() })
    addEventListener('keydown', (e) => {
      if (e.key === 'Escape') close()
      if (e.key === '/' && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
        e.preventDefault()
        input.focus()
      }
    })

    form.hidden = false
    const own = root.lang
    const other = own === 'en' ? 'zh-CN' : 'en'
    const list = ({ terms, hits }) => make('ul', hits.map((row) => make('li', make('a', [
      make('b', row.title + (row.heading && ' · ' + row.heading)), make('span', marked(row.text, terms))
    ], { href: base + row.to }))))
    const search = async () => {
      const query = input.value.trim()
      if (!query) { results.hidden = true; return }
      let shown = find(await indexOf(own), query)
      const blocks = []
      if (!shown.hits.length) {
        shown = find(await indexOf(other), query)
        if (shown.hits.length) blocks.push(make('p', me.dataset.elsewhere))
      }
      if (query !== input.value.trim()) return // typed on meanwhile
      results.replaceChildren(...blocks, shown.hits.length ? list(shown) : make('p', me.dataset.none))
      results.hidden = false
    }
    input.addEventListener('focus', () => indexOf(own), { once: true })
    input.addEventListener('input', search)
    form.addEventListener('submit', (e) => {
      e.preventDefault()
      results.querySelector('a')?.click()
    })
  })
}
